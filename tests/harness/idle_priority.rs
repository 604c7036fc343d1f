//! Long computations beside the servers of other tests.

use std::io;
use std::process::{Command, Output};

/// Runs a command while no other thread wants to run. Guests have this priority too, so those of
/// other tests' servers share the cores with a compiler, and are not stopped by it.
pub(crate) fn output_at_idle_priority(command: &mut Command) -> io::Result<Output> {
    // A child has the priority of the thread that starts it.
    let idle = || {
        wardian::tenant::set_idle_priority();
        command.output()
    };
    std::thread::scope(|scope| scope.spawn(idle).join()).expect("the thread does not panic")
}
