//! The threads of a call.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wardian_kernels::{Checkpoint, Team};

use super::MOST_TIME;
use crate::tenant::{CpuMeter, CpuShare, Helpers};

/// The least time of an operation that is divided. Waking a thread takes some microseconds.
const LEAST_TIME: Duration = Duration::from_micros(100);

/// The grant of the kernels.
#[derive(Clone, Default)]
pub struct KernelGrant {
    /// The helpers of a call and the most of them; `None` for a call on one thread.
    helpers: Option<(Helpers, usize)>,
}

impl KernelGrant {
    /// Kernels whose calls use up to `threads` threads, no more than there are cores.
    pub fn new(threads: usize, helpers: &Helpers) -> Self {
        let most = threads.min(helpers.most_threads()).saturating_sub(1);
        KernelGrant { helpers: (most > 0).then(|| (helpers.clone(), most)) }
    }

    /// Returns the helpers of a call that is charged to `share`.
    pub(super) fn helpers(&self, share: &Arc<CpuShare>, meter: &CpuMeter) -> Option<CallHelpers> {
        let (helpers, most) = self.helpers.as_ref()?;
        let (helpers, share, meter) = (helpers.clone(), share.clone(), meter.clone());
        Some(CallHelpers { helpers, most: *most, share, meter })
    }
}

/// The helpers of one call.
pub(super) struct CallHelpers {
    helpers: Helpers,
    most: usize,
    share: Arc<CpuShare>,
    meter: CpuMeter,
}

/// The threads of one call, which stop when it has taken as long as it may.
pub(super) struct CallTeam<'a> {
    began: Instant,
    helpers: Option<&'a CallHelpers>,
}

impl<'a> CallTeam<'a> {
    pub(super) fn new(began: Instant, helpers: Option<&'a CallHelpers>) -> Self {
        CallTeam { began, helpers }
    }
}

impl Team for CallTeam<'_> {
    fn threads(&self, time: Duration) -> usize {
        self.helpers.filter(|_| time >= LEAST_TIME).map_or(1, |helpers| helpers.most + 1)
    }

    fn checkpoint(&mut self) -> ControlFlow<()> {
        break_if(self.began.elapsed() >= MOST_TIME)
    }

    fn run(&mut self, work: &(dyn Fn(Checkpoint<'_>) + Sync)) {
        let Some(CallHelpers { helpers, most, share, meter }) = self.helpers else {
            return work(&mut || self.checkpoint());
        };

        let began = self.began;
        let help = |someone_waits: &dyn Fn() -> bool| {
            work(&mut || break_if(began.elapsed() >= MOST_TIME || someone_waits()));
        };
        helpers.run(share, meter, *most, || work(&mut || self.checkpoint()), &help);
    }
}

fn break_if(condition: bool) -> ControlFlow<()> {
    if condition { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}
