//! The cache: which backend is meant, and whether it answers.

use super::{Report, State};
use crate::{
    app::config::Config,
    cli::settings::variable,
    engine::cache::settings::{CacheSettings, Choice, RedisAddress},
    model::text::human_bytes,
};

const AREA: &str = "cache";

pub(super) fn check(report: &mut Report, library: Option<&str>) {
    let (config, _) = Config::load(&variable);
    let settings = config.cache.settings();
    let disk = format!("on disk, up to {}", human_bytes(settings.disk_bytes));
    match (settings.choice, &settings.redis) {
        (Choice::Off, _) => {
            let fix = "set cache.backend to auto";
            report.add_with_fix(AREA, "backend", State::Note, "switched off", fix);
        }
        (Choice::Memory, _) => report.add(AREA, "backend", State::Note, "in memory only"),
        (Choice::Disk, _) | (Choice::Auto, None) => {
            report.add(AREA, "backend", State::Good, disk);
        }
        (Choice::Redis, None) => {
            let fix = "set cache.redis_url, or REDIS_HOST";
            let value = format!("Redis is meant, but none is named; {disk}");
            report.add_with_fix(AREA, "backend", State::Wrong, value, fix);
        }
        (Choice::Auto | Choice::Redis, Some(address)) => {
            check_redis(report, &settings, address, library);
        }
    }
}

#[cfg(feature = "redis")]
fn check_redis(
    report: &mut Report,
    settings: &CacheSettings,
    address: &RedisAddress,
    library: Option<&str>,
) {
    use std::time::Duration;

    use crate::engine::cache::Failure;
    use crate::engine::cache::redis::{Redis, tracking};

    let fallback = human_bytes(settings.disk_bytes);
    let asked = Redis::connect(address, Duration::from_secs(2)).and_then(|redis| {
        redis.wait_until_known(Duration::from_secs(2));
        match redis.server_usage() {
            Ok(usage) => {
                let limit = match usage.limit_bytes {
                    0 => "no limit".to_owned(),
                    limit => format!("of {}", human_bytes(limit)),
                };
                let used = human_bytes(usage.used_bytes);
                Ok(format!("{} keys, {used}, {limit}", usage.keys))
            }
            Err(Failure::Refused(reason)) => {
                Ok(format!("it does not tell how full it is: {reason}"))
            }
            Err(failure) => Err(failure),
        }
    });
    match asked {
        Ok(usage) => {
            let tracking = match tracking::refusal(address, library.unwrap_or_default()) {
                Ok(None) => "it tells what changes".to_owned(),
                Ok(Some(reason)) => format!("it does not tell what changes: {reason}"),
                Err(failure) => failure.to_string(),
            };
            let value = format!("{address} answers: {usage}; {tracking}");
            report.add(AREA, "Redis", State::Good, value);
            if let Some(library) = library {
                check_workers(report, address, library);
            }
        }
        Err(failure) => {
            let value = format!("{address}: {failure}; the disk stands in, up to {fallback}");
            let fix = "start the server, or correct cache.redis_url, REDIS_HOST and the like";
            report.add_with_fix(AREA, "Redis", State::Wrong, value, fix);
        }
    }
}

/// Who helps with the ingest, and what they died over.
#[cfg(feature = "redis")]
fn check_workers(report: &mut Report, address: &RedisAddress, library: &str) {
    use crate::engine::cache::redis::board::Board;

    let asked = Board::open(address, library)
        .and_then(|mut board| Ok((board.alive()?.len(), board.put_aside()?)));
    let (workers, dead) = match asked {
        Ok(asked) => asked,
        Err(failure) => {
            return report.add(AREA, "workers", State::Note, failure.to_string());
        }
    };
    let value = format!("{workers} help with the ingest");
    report.add(AREA, "workers", State::Good, value);
    if !dead.is_empty() {
        let value = format!("{} files that workers died over", dead.len());
        let fix = "tagloupe worker --dead lists them, --retry-dead tries them again";
        report.add_with_fix(AREA, "put aside", State::Note, value, fix);
    }
}

#[cfg(not(feature = "redis"))]
fn check_redis(
    report: &mut Report,
    settings: &CacheSettings,
    address: &RedisAddress,
    _library: Option<&str>,
) {
    let fallback = human_bytes(settings.disk_bytes);
    let value = format!("{address}: not built in; the disk stands in, up to {fallback}");
    let fix = "build with the feature redis, which is on by default";
    report.add_with_fix(AREA, "Redis", State::Wrong, value, fix);
}
