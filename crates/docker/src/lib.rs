//! flocker-docker.
