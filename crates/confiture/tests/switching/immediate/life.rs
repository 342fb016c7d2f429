//! From opening to the cutover: clients of both sides meanwhile, kills, and what other commands say.
