-- Removes the ledger, and nothing that someone else put into its schema.
DROP TABLE IF EXISTS confiture.follow, confiture.batch, confiture.deferred, confiture.shape, confiture.control,
    confiture.verification, confiture.coverage, confiture.touched, confiture.request, confiture.cutover, confiture.outside,
    confiture.bidirectional, confiture.conflict, confiture.interleaved, confiture.immediate;
DROP TABLE IF EXISTS confiture.chunk, confiture.table_state, confiture.journal, confiture.event, confiture.migration;
