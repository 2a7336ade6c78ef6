//! flocker-zfs.
