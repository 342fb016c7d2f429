//! A small file system, for disks that are full.

use std::path::PathBuf;
use std::process::Command;

/// A small file system of its own, that a server may write to.
pub(crate) struct SmallDisk(PathBuf, #[allow(dead_code, reason = "removed with this")] tempfile::TempDir);

impl SmallDisk {
    /// None where this process may not mount a file system: only root may.
    pub(crate) fn mount(megabytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={megabytes}m,mode=0777");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            eprintln!("left out: this process may not mount a file system that becomes full");
            return None;
        }
        let owned = Command::new("chown").arg("postgres").arg(folder.path()).status().unwrap();
        assert!(owned.success());
        Some(Self(folder.path().to_owned(), folder))
    }

    /// Where it is.
    #[allow(dead_code, reason = "used by one of the two test binaries that share this file")]
    pub(crate) fn folder(&self) -> &std::path::Path {
        &self.0
    }

    /// Makes it larger.
    pub(crate) fn grow(&self, megabytes: u32) {
        let size = format!("remount,size={megabytes}m");
        let grown = Command::new("mount").args(["-o", &size]).arg(&self.0).status().unwrap();
        assert!(grown.success());
    }

    /// `CREATE TABLESPACE small LOCATION '…'`
    pub(crate) fn tablespace(&self, name: &str) -> String {
        format!("CREATE TABLESPACE {name} LOCATION '{}'", self.0.display())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}
