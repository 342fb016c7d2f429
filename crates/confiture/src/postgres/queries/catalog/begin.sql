-- One snapshot for all the queries of a catalog. Works on a hot standby too, where SERIALIZABLE would not.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
