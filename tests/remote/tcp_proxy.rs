//! A TCP proxy that can be shut and opened again.

use std::io::{Write, copy};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// A TCP proxy to a server. While it is shut, it closes new and existing connections.
pub(crate) struct TcpProxy {
    address: SocketAddr,
    open: Arc<AtomicBool>,
    inside: Arc<Mutex<Vec<TcpStream>>>,
}

impl TcpProxy {
    /// Starts an open proxy. Its thread lives as long as the process.
    pub(crate) fn to(server: SocketAddr) -> TcpProxy {
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
        TcpProxy { address, open, inside }
    }

    /// Returns the address of the proxy.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Shuts the proxy.
    pub(crate) fn shut(&self) {
        self.open.store(false, Ordering::SeqCst);
        for comer in self.inside.lock().unwrap().drain(..) {
            let _ = comer.shutdown(Shutdown::Both);
        }
    }

    /// Opens the proxy again.
    pub(crate) fn open(&self) {
        self.open.store(true, Ordering::SeqCst);
    }
}

/// Copies bytes both ways until one side closes.
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
