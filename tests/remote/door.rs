//! A way to a server that can be shut and opened again.

use std::io::{Write, copy};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// A way to a server. While it is shut, whoever comes is sent away at once, and who is inside is
/// thrown out.
pub(crate) struct Door {
    address: SocketAddr,
    open: Arc<AtomicBool>,
    inside: Arc<Mutex<Vec<TcpStream>>>,
}

impl Door {
    /// An open door. Its thread stays for as long as the process.
    pub(crate) fn to(server: SocketAddr) -> Door {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let open = Arc::new(AtomicBool::new(true));
        let inside = Arc::<Mutex<Vec<TcpStream>>>::default();
        let (is_open, comers) = (open.clone(), inside.clone());
        thread::spawn(move || {
            for comer in listener.incoming().flatten() {
                if is_open.load(Ordering::SeqCst) {
                    comers.lock().unwrap().push(comer.try_clone().unwrap());
                    thread::spawn(move || pass(comer, server));
                }
            }
        });
        Door { address, open, inside }
    }

    /// Where it is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Shuts it.
    pub(crate) fn shut(&self) {
        self.open.store(false, Ordering::SeqCst);
        for comer in self.inside.lock().unwrap().drain(..) {
            let _ = comer.shutdown(Shutdown::Both);
        }
    }

    /// Opens it again.
    pub(crate) fn open(&self) {
        self.open.store(true, Ordering::SeqCst);
    }
}

/// Carries bytes both ways until one side has had enough.
fn pass(comer: TcpStream, server: SocketAddr) {
    let Ok(there) = TcpStream::connect(server) else { return };
    let (mut from, mut to) = (comer.try_clone().unwrap(), there.try_clone().unwrap());
    thread::spawn(move || {
        let _ = copy(&mut from, &mut to);
        let _ = to.flush();
        let _ = to.shutdown(Shutdown::Write);
    });
    let (mut from, mut to) = (there, comer);
    let _ = copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
}
