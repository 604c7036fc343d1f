//! Attacks by files in a repository: broken components, loads that sleep, large artifacts, sparse
//! sidecars.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};

use super::super::{http_client, models};
use super::attacks::RunningAttack;
use super::connections::send_once;
use super::server::{ATTACKER, AttackedServer};

/// The time until the server has scanned the files.
const SETTLED: Duration = Duration::from_secs(1);

/// Version folders with components of 16 bytes, each different and each broken.
pub(super) fn folders(scene: &AttackedServer) -> Result<RunningAttack> {
    for number in 0..10_000_u32 {
        let version = scene.repository(ATTACKER).join(format!("broken{number}/1"));
        fs::create_dir_all(&version)?;
        // The header of a component, and a custom section that makes it unique.
        let mut component = b"\0asm\x0d\0\x01\0\0\x06\x01x".to_vec();
        component.extend(number.to_le_bytes());
        fs::write(version.join("model.wasm"), component)?;
    }
    Ok(RunningAttack::default().wait(SETTLED))
}

/// Versions whose `load` sleeps.
pub(super) fn loads(scene: &AttackedServer) -> Result<RunningAttack> {
    for number in 0..12 {
        let component = models::scripted(&format!("version={number};load=sleep:600000"))?;
        models::install_bare(
            &scene.repository(ATTACKER),
            &format!("sleeping{number}"),
            &component,
            "",
        )?;
    }
    Ok(RunningAttack::default().wait(SETTLED))
}

/// Uploads of small components whose snapshot has 120 MiB, one after the other.
pub(super) fn artifacts(scene: &AttackedServer) -> Result<RunningAttack> {
    let address = scene.server.address();
    let numbers = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(1));
    let upload = move |_| {
        let number = numbers.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let Ok(component) = models::scripted(&format!("version={number};ballast=120")) else {
            return;
        };
        send_once(address, &http_client::upload(ATTACKER, "large", number, &component));
    };
    Ok(RunningAttack::default().repeat(2, upload).wait(SETTLED))
}

/// Sparse sidecars whose modification time changes every few seconds.
pub(super) fn sidecars(scene: &AttackedServer) -> Result<RunningAttack> {
    let repository = scene.repository(ATTACKER);
    models::install_bare(&repository, "sparse", &models::test_guest("scripted")?, "")?;
    let paths: Vec<_> =
        (0..8).map(|number| repository.join(format!("sparse/1/weights{number}.bin"))).collect();
    for path in &paths {
        File::create(path)?.set_len(4 << 30)?;
    }
    ensure!(paths.iter().all(|path| path.exists()), "sparse files cannot be made here");

    let touch = move |_| {
        for path in &paths {
            // It fails once the folder is removed.
            let _ = File::options()
                .write(true)
                .open(path)
                .and_then(|file| file.set_modified(SystemTime::now()));
        }
        std::thread::sleep(Duration::from_secs(3));
    };
    Ok(RunningAttack::default().repeat(1, touch).wait(SETTLED))
}
