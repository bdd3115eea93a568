//! The operator's denylists: read from files, again when they change.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use super::stopped;
use crate::proto::denylist::{Denylist, DenylistError};

/// How often it is looked whether a file has changed.
const LOOK: Duration = Duration::from_secs(20);

/// A list that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct DenylistFileError {
    path: PathBuf,
    reason: Reason,
}

#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error(transparent)]
    File(#[from] std::io::Error),
    #[error(transparent)]
    List(#[from] DenylistError),
}

/// Reads lists in their order; what is not understood goes to the log.
pub(super) fn read(paths: &[PathBuf]) -> Result<Denylist, DenylistFileError> {
    let mut all = Denylist::default();
    for path in paths {
        let failed = |reason| DenylistFileError {
            path: path.clone(),
            reason,
        };
        let bytes = std::fs::read(path).map_err(|error| failed(error.into()))?;
        let read = all.add(&bytes).map_err(|error| failed(error.into()))?;
        tracing::info!(list = %path.display(), rules = read.rules, "denylist read");
        for (line, reason) in &read.skipped {
            tracing::warn!(list = %path.display(), line, %reason, "a line is left out");
        }
    }
    all.finish();
    Ok(all)
}

/// Reads the lists again when a file changes or `again` says so, until told to stop. Lists that cannot be read leave those in force
/// that were.
pub(super) async fn follow(
    paths: Vec<PathBuf>,
    lists: watch::Sender<Arc<Denylist>>,
    mut again: watch::Receiver<()>,
    mut stop: watch::Receiver<bool>,
) {
    let mut seen = stamps(&paths);
    let mut look = tokio::time::interval(LOOK);
    loop {
        let asked = tokio::select! {
            _ = look.tick() => false,
            Ok(()) = again.changed() => true,
            () = stopped(&mut stop) => return,
        };
        let now = stamps(&paths);
        if !asked && now == seen {
            continue;
        }
        seen = now;
        let files = paths.clone();
        let read = tokio::task::spawn_blocking(move || read(&files)).await;
        match read {
            Ok(Ok(read)) => drop(lists.send_replace(Arc::new(read))),
            Ok(Err(error)) => tracing::error!(%error, "the denylists stay as they were"),
            Err(error) => tracing::error!(%error, "the denylists stay as they were"),
        }
    }
}

fn stamps(paths: &[PathBuf]) -> Vec<Option<(SystemTime, u64)>> {
    let stamp = |path: &Path| {
        let about = std::fs::metadata(path).ok()?;
        Some((about.modified().ok()?, about.len()))
    };
    paths.iter().map(|path| stamp(path)).collect()
}
