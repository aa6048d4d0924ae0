//! Work on many files with all processors, for callers that wait for it.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// More threads than this only wait for the disk.
const MAX_WORKERS: usize = 8;

/// Threads that wait for the disk together: it makes their files durable at once, and
/// none of them needs a processor meanwhile.
const WRITERS: usize = 8;
/// Fewer files than this are written by the caller alone.
const MIN_WRITTEN: usize = 16;

/// The results of `work` on each item, in order. A panic in it goes on in the caller.
pub(super) fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    map_with(workers.min(MAX_WORKERS), items, work)
}

/// As [`map`], for work that writes files and takes its items.
pub(super) fn write<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    if items.len() < MIN_WRITTEN {
        return items.into_iter().map(work).collect();
    }
    let items: Vec<Mutex<Option<T>>> = items
        .into_iter()
        .map(|item| Mutex::new(Some(item)))
        .collect();
    let take = |item: &Mutex<Option<T>>| {
        let mut item = item.lock().unwrap_or_else(PoisonError::into_inner);
        item.take().map(&work)
    };
    map_with(WRITERS, &items, take)
        .into_iter()
        .flatten()
        .collect()
}

fn map_with<T: Sync, R: Send>(
    workers: usize,
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let workers = workers.min(items.len());
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else {
                return done;
            };
            done.push((index, work(item)));
        }
    };
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (1..workers).map(|_| scope.spawn(work)).collect();
        let mut done = work();
        for other in others {
            match other.join() {
                Ok(part) => done.extend(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn results_are_in_order() {
        let items: Vec<u32> = (0..1000).collect();
        let doubled: Vec<u32> = items.iter().map(|n| n * 2).collect();
        assert_eq!(super::map(&items, |n| n * 2), doubled);
        assert!(super::map(&[], |n: &u32| *n).is_empty());
        assert_eq!(super::write(items.clone(), |n| n * 2), doubled);
        assert_eq!(super::write(vec![1, 2], |n| n * 2), [2, 4]);
    }
}
