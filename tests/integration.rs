//! Tests over more than one floor, in one binary: the floors themselves, and the
//! real program driven from outside.

#[cfg(test)]
mod integration {
    #[cfg(feature = "redis")]
    pub mod hosts;
    pub mod http_server;
    #[cfg(feature = "redis")]
    pub mod redis_server;
    pub mod support;

    mod app;
    mod architecture;
    mod backup;
    mod cache_contract;
    mod cache_engine;
    #[cfg(feature = "redis")]
    mod cache_redis;
    #[cfg(feature = "redis")]
    mod cache_tracking;
    mod cli;
    #[cfg(feature = "redis")]
    mod cluster;
    #[cfg(unix)]
    mod collected;
    mod families;
    mod fetching;
    mod git;
    #[cfg(unix)]
    mod hostile;
    mod ingest;
    mod outside;
    mod panes;
    mod rebuild;
    #[cfg(feature = "redis")]
    mod remote_locks;
    mod sidecar;
    mod sources;
    mod tagdb;
    mod trash;
    mod verify;
}
