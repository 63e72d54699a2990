//! Files that fail and disks that forget: whatever becomes of a write, no row is lost, doubled
//! or paid for again.

/// What a folder may hold after a power cut.
mod crash;

/// Every operation failing once, and for good.
mod failing;

/// A disk whose operations fail when told to, and that notes them all.
mod faulty;

/// What other processes do to the files of a run.
mod others;

/// A power cut after every operation.
mod power;

/// A run as the command makes it: opened, driven, put in place, and judged.
mod session;
