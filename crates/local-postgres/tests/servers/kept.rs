//! Kept servers: their data stays, programs share them, and the last one to leave switches off the light.

use crate::support::{Owner, ask, eventually, kill_all, new_folder, processes};
use std::{
    fs::Permissions,
    os::unix::fs::{MetadataExt, PermissionsExt},
    process::Command,
};

use local_postgres::{ErrorKind, Options, Server};

async fn keep(folder: &std::path::Path) -> Server {
    Server::keep(folder, Options::default()).await.unwrap()
}

#[tokio::test]
async fn data_outlives_the_server() {
    let (_parent, folder) = new_folder();
    let server = keep(&folder).await;
    assert_eq!(ask(&server, "SHOW fsync"), "on");
    ask(&server, "CREATE TABLE t AS SELECT 42 AS answer");
    server.stop().await.unwrap();
    assert_eq!(processes(&folder), [""; 0]);
    assert!(Server::find(&folder).await.unwrap().is_none());
    let server = keep(&folder).await;
    assert_eq!(ask(&server, "SELECT answer FROM t"), "42");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn of_many_programs_one_starts_the_server_and_the_others_find_it() {
    let (_parent, folder) = new_folder();
    let owners: Vec<Owner> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..4).map(|_| scope.spawn(|| Owner::start(Some(&folder)))).collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    let found = Server::find(&folder).await.unwrap().unwrap();
    assert!(owners.iter().all(|owner| owner.url == found.url("postgres")));
    let pid = found.pid();
    // Whichever started it: it runs until the last one is gone, however they go.
    let mut owners = owners.into_iter();
    let last = owners.next_back().unwrap();
    owners.for_each(Owner::kill);
    ask(&found, "SELECT 1");
    assert_eq!(Server::find(&folder).await.unwrap().unwrap().pid(), pid);
    last.kill();
    eventually("the server is gone", || processes(&folder).is_empty());
    assert!(Server::find(&folder).await.unwrap().is_none());
}

#[tokio::test]
async fn a_server_that_is_about_to_end_is_not_joined() {
    let (_parent, folder) = new_folder();
    // Each round starts while the server of the last one shuts down.
    for round in 0..8 {
        let server = keep(&folder).await;
        assert_eq!(ask(&server, "SELECT 1"), "1", "round {round}");
        drop(server);
    }
}

#[tokio::test]
async fn a_server_runs_on_when_asked_to_until_it_is_stopped() {
    let (_parent, folder) = new_folder();
    let server = keep(&folder).await.keep_running().await.unwrap();
    let pid = server.pid();
    drop(server);
    Owner::start(Some(&folder)).kill();
    let found = Server::find(&folder).await.unwrap().expect("it runs on");
    assert_eq!(found.pid(), pid);
    assert_eq!(ask(&found, "SELECT 1"), "1");
    let again = Server::find(&folder).await.unwrap().unwrap();
    found.stop().await.unwrap();
    assert_eq!(processes(&folder), [""; 0]);
    again.stop().await.expect("there is nothing left to do");
}

#[tokio::test]
async fn a_crashed_server_starts_again() {
    let (_parent, folder) = new_folder();
    let server = keep(&folder).await;
    ask(&server, "CREATE TABLE t AS SELECT 42 AS answer");
    let kill = |pid: u32| Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success();
    assert!(kill(server.pid().unwrap()));
    eventually("the processes are gone", || processes(&folder).is_empty());
    assert!(folder.join("data/postmaster.pid").exists());
    assert!(Server::find(&folder).await.unwrap().is_none());
    assert!(folder.join("control").exists());
    drop(server);
    let server = keep(&folder).await;
    assert_eq!(ask(&server, "SELECT answer FROM t"), "42");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_without_its_shell_can_be_joined_and_stopped() {
    let (_parent, folder) = new_folder();
    let server = keep(&folder).await;
    let shells: Vec<_> = processes(&folder).into_iter().filter(|line| line.contains("/bin/sh")).collect();
    kill_all(&shells);
    let again = keep(&folder).await;
    assert_eq!(again.pid(), server.pid());
    again.stop().await.unwrap();
    assert_eq!(processes(&folder), [""; 0]);
}

#[tokio::test]
async fn a_long_path_gets_its_socket_elsewhere() {
    let (_parent, folder) = new_folder();
    let folder = folder.join("long/".repeat(30));
    let server = keep(&folder).await;
    assert_eq!(ask(&server, "SELECT 1"), "1");
    let socket_dir = server.socket_dir().to_owned();
    assert!(!socket_dir.starts_with(&folder));
    server.stop().await.unwrap();
    std::fs::remove_dir_all(socket_dir).unwrap();
}

#[tokio::test]
async fn a_folder_that_the_server_cannot_enter_is_no_obstacle() {
    // As in root's home folder: nobody but us may enter.
    let parent = tempfile::tempdir().unwrap();
    std::fs::set_permissions(parent.path(), Permissions::from_mode(0o700)).unwrap();
    let folder = parent.path().join("server");
    let server = keep(&folder).await;
    let root = std::fs::metadata(parent.path()).unwrap().uid() == 0;
    assert_eq!(server.folder() != folder, root, "{}", server.folder().display());
    assert_eq!(Server::find(&folder).await.unwrap().unwrap().pid(), server.pid());
    ask(&server, "CREATE TABLE t AS SELECT 42 AS answer");
    server.stop().await.unwrap();
    let server = keep(&folder).await;
    assert_eq!(ask(&server, "SELECT answer FROM t"), "42");
    let place = server.folder().to_owned();
    server.stop().await.unwrap();
    std::fs::remove_dir_all(place).unwrap();
}

#[tokio::test]
async fn a_folder_with_other_things_in_it_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    std::fs::write(parent.path().join("letter.txt"), "Dear all").unwrap();
    let error = Server::keep(parent.path(), Options::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unusable);
    assert!(error.message().ends_with("holds other things than a local server"), "{error}");
}

#[tokio::test]
async fn data_of_another_version_is_refused() {
    let (_parent, folder) = new_folder();
    let server = keep(&folder).await;
    let major = server.binaries().version().major;
    server.stop().await.unwrap();
    let options = Options { version: Some(major + 1), ..Options::default() };
    let error = Server::keep(&folder, options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unusable);
    assert!(error.message().ends_with(&format!("is of PostgreSQL {major}, not {}", major + 1)), "{error}");
}

#[tokio::test]
async fn a_server_that_does_not_start_says_why() {
    let (_parent, folder) = new_folder();
    let settings = vec![("shared_buffers".into(), "nonsense".into())];
    let error = Server::keep(&folder, Options { settings, ..Options::default() }).await.unwrap_err();
    assert!(format!("{error:?}").contains("shared_buffers"), "{error:?}");
    // And the next one is not disturbed.
    keep(&folder).await.stop().await.unwrap();
}
