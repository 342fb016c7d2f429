//! The network between a switch and its servers fails in the middle of it: writers go on within the longest stall, while it is
//! still away where nothing was decided; and the same command, or the next one, comes to an end.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Once};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use confiture::ErrorKind;
use confiture::event::Execution;
use confiture::schema_to_schema::cutover::{
    Application, Occasion, SwitchKind, SwitchReport, Switching, active, cut_over, roll_back,
};
use confiture::schema_to_schema::{Direction, FeedKind, Options, failpoint};
use futures_util::future::BoxFuture;
use local_postgres::testing::shared_server;
use tokio::sync::oneshot;

use crate::between::{MAPPING, NEW, OLD, assert_all_there, assert_people_same, follow, sides};
use crate::clients::{Clients, Side};
use crate::proxy::{Proxy, Weather};
use crate::within;
use crate::world::{World, connection};

const MAX_STALL: Duration = Duration::from_millis(2500);

/// What clients need to notice, to connect and to write.
const NOTICING: Duration = Duration::from_millis(1500);

/// Where writers wait, in order.
const BETWEEN: [&str; 7] = [
    "switch: writers locked out",
    "switch: last batch",
    "switch: other side ready",
    "switch: application led over",
    "switch: about to be decided",
    "switch: decided",
    "switch: opened",
];

const WITHIN: [&str; 6] = [
    "switch: last batch",
    "switch: tables exchanged",
    "switch: application led over",
    "switch: about to be decided",
    "switch: decided",
    "switch: application told",
];

type Reached = Box<dyn Fn(&'static str)>;

thread_local! {
    /// What hears of the places that the switch on this thread passes.
    static REACHED: RefCell<Option<Reached>> = const { RefCell::new(None) };
}

/// Switches on a thread of its own; at a place the network fails.
pub(crate) fn begin(
    kind: SwitchKind,
    options: Options,
    switching: Switching,
    at: &'static str,
    fails: impl Fn() + Send + 'static,
) -> (oneshot::Receiver<()>, JoinHandle<confiture::Result<SwitchReport>>) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        failpoint::on_reached(Box::new(|name| {
            REACHED.with_borrow(|reached| reached.iter().for_each(|reached| reached(name)));
        }));
    });
    let (say, reached) = oneshot::channel();
    let work = thread::spawn(move || {
        let say = RefCell::new(Some(say));
        let hear = move |name: &'static str| {
            if name == at
                && let Some(say) = say.borrow_mut().take()
            {
                fails();
                say.send(()).ok();
            }
        };
        REACHED.set(Some(Box::new(hear)));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let execution = Execution::unattended();
        runtime.block_on(async {
            match kind {
                SwitchKind::Cutover => cut_over(options, &switching, &execution).await,
                SwitchKind::Rollback => roll_back(options, &switching, &execution).await,
            }
        })
    });
    (reached, work)
}

struct Scene {
    world: World,
    /// Before the old side, and before the new one.
    networks: [Arc<Proxy>; 2],
    options: Options,
    sides: [Side; 2],
}

impl Scene {
    async fn between(feed: FeedKind) -> Self {
        let world = World::new(OLD, NEW).await;
        let options = world.options(MAPPING).await;
        let scene = Self::new(sides(&world), world, options).await;
        follow(&scene.options, feed).await;
        scene
    }

    async fn within() -> Self {
        let world = World::new(within::BOTH, "").await;
        let options = world.options(within::MAPPING).await;
        let options = Options { target: options.source.clone(), ..options };
        let side = || Side { connection: connection(&world.old), statement: within::WRITE };
        let mut scene = Self::new([side(), side()], world, options).await;
        // One database has one network before it, and one name.
        scene.networks[1] = Arc::clone(&scene.networks[0]);
        scene.options.target = scene.options.source.clone();
        follow(&scene.options, FeedKind::Queue).await;
        scene
    }

    async fn new(sides: [Side; 2], world: World, direct: Options) -> Self {
        let server = shared_server().await;
        let networks = [Arc::new(Proxy::before(server).await), Arc::new(Proxy::before(server).await)];
        let options = Options {
            source: networks[0].through(&direct.source),
            target: networks[1].through(&direct.target),
            ..direct
        };
        Self { world, networks, options, sides }
    }

    fn switching(&self) -> Switching {
        Switching { max_stall: MAX_STALL, accept_losses: true, ..Switching::default() }
    }

    async fn direction(&self) -> Direction {
        active(self.options.clone()).await.unwrap().1
    }

    /// A switch from the side where the application is, in the middle of which the network before a side fails.
    async fn fails_in(&self, at: &'static str, side: usize, weather: Weather, clients: &Clients) {
        let before = self.direction().await;
        let (kind, after, leaving) = match before {
            Direction::Forward => (SwitchKind::Cutover, Direction::Reverse, 0),
            Direction::Reverse => (SwitchKind::Rollback, Direction::Forward, 1),
        };
        let what = format!("{kind:?} {at}: network {side} {weather:?}");
        let network = Arc::clone(&self.networks[side]);
        let fails = move || network.set(weather);
        let (reached, work) = begin(kind, self.options.clone(), self.switching(), at, fails);
        if reached.await.is_err() {
            panic!("{what}: {:?}", work.join().unwrap());
        }
        let failed_at = Instant::now();
        let is_leaving = Arc::ptr_eq(&self.networks[side], &self.networks[leaving]);
        // Whether it is to be given up; `None` where the commit may just have come through.
        let is_given_up = match (at, weather) {
            ("switch: decided" | "switch: opened" | "switch: application told", _) => Some(false),
            ("switch: about to be decided", Weather::Cut) if is_leaving => None,
            // Within one database nothing is asked in between.
            ("switch: application led over", _) if Arc::ptr_eq(&self.networks[0], &self.networks[1]) => None,
            ("switch: about to be decided", _) => Some(weather == Weather::Stalled && is_leaving),
            _ => Some(true),
        };
        // While it is away.
        let go_on = clients.go_on(20, MAX_STALL + NOTICING).await;
        println!("{what}: {go_on} after {:?}", failed_at.elapsed());
        assert!(
            go_on || is_given_up != Some(true),
            "{what}: nothing was decided, and writers are left waiting"
        );
        if weather == Weather::HalfOpen {
            self.networks[side].set(Weather::Cut);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.networks[side].set(Weather::Fine);
        // Nobody calls another command.
        clients.until_more(20).await;
        let outcome = tokio::task::spawn_blocking(|| work.join().unwrap()).await.unwrap();
        println!(
            "{what}: after {:?}: {:?}",
            failed_at.elapsed(),
            outcome.as_ref().map(|done| &done.afterwards)
        );
        assert!(is_given_up.is_none_or(|is_given_up| is_given_up == outcome.is_err()), "{what}: {outcome:?}");
        let direction = self.direction().await;
        assert_eq!(direction, if outcome.is_err() { before } else { after }, "{what}: {outcome:?}");
    }

    /// The next command, and no network that fails.
    async fn switch(&self) {
        match self.direction().await {
            Direction::Forward => self.cut_over_again().await.unwrap(),
            Direction::Reverse => {
                let execution = Execution::unattended();
                roll_back(self.options.clone(), &self.switching(), &execution).await.unwrap()
            }
        };
    }

    async fn cut_over_again(&self) -> confiture::Result<SwitchReport> {
        cut_over(self.options.clone(), &self.switching(), &Execution::unattended()).await
    }

    /// At every second place of a cutover, and at the others of a rollback. Each command is the one that goes on after the one
    /// before.
    async fn fails_everywhere(&self, places: &[&'static str], weather: Weather, first: usize) {
        let clients = Clients::start_every(Duration::from_millis(20), 2, &self.sides);
        for (direction, first) in [(Direction::Forward, first), (Direction::Reverse, 1 - first)] {
            for (number, at) in places.iter().enumerate().skip(first).step_by(2) {
                if self.direction().await != direction {
                    self.switch().await;
                }
                self.fails_in(at, (number / 2 + first) % 2, weather, &clients).await;
            }
        }
        if self.direction().await == Direction::Reverse {
            self.switch().await;
        }
        clients.until_more(20).await;
        let seen = clients.stop().await;
        assert_all_there(&self.world.old, "app.orders", &seen).await;
    }
}

async fn between(feed: FeedKind, weather: Weather, first: usize) {
    let scene = Scene::between(feed).await;
    scene.fails_everywhere(&BETWEEN, weather, first).await;
    follow(&scene.options, feed).await;
    assert_people_same(&scene.world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_cut_by_the_queue() {
    between(FeedKind::Queue, Weather::Cut, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_cut_by_the_wal() {
    between(FeedKind::Wal, Weather::Cut, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_a_black_hole_by_the_queue() {
    between(FeedKind::Queue, Weather::Stalled, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_a_black_hole_by_the_wal() {
    between(FeedKind::Wal, Weather::Stalled, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_open_in_one_direction_by_the_queue() {
    between(FeedKind::Queue, Weather::HalfOpen, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_open_in_one_direction_by_the_wal() {
    between(FeedKind::Wal, Weather::HalfOpen, 1).await;
}

async fn within_one_database(weather: Weather) {
    Scene::within().await.fails_everywhere(&WITHIN, weather, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_cut_within_one_database() {
    within_one_database(Weather::Cut).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_a_black_hole_within_one_database() {
    within_one_database(Weather::Stalled).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_open_in_one_direction_within_one_database() {
    within_one_database(Weather::HalfOpen).await;
}

/// Counts how often it was led back.
#[derive(Default)]
struct LedBack(AtomicU32);

impl Application for LedBack {
    fn rolled_back<'a>(&'a self, _: &'a Occasion) -> BoxFuture<'a, confiture::Result<()>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Ok(()) })
    }
}

/// It was committed, and nobody heard: then the application is not led back to what is no more.
#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_knows_leads_nobody_back() {
    for scene in [Scene::within().await, Scene::between(FeedKind::Queue).await] {
        let application = Arc::new(LedBack::default());
        let led: Arc<dyn Application> = Arc::<LedBack>::clone(&application);
        let patience = Duration::from_millis(500);
        let switching = Switching { patience, application: led, ..scene.switching() };
        let network = Arc::clone(&scene.networks[0]);
        let at = "switch: about to be decided";
        let fails = move || network.set(Weather::HalfOpen);
        let (reached, work) = begin(SwitchKind::Cutover, scene.options.clone(), switching, at, fails);
        reached.await.unwrap();
        let outcome = tokio::task::spawn_blocking(|| work.join().unwrap());
        // It gives up asking while the network is still away; what comes after needs it.
        let until = Instant::now() + MAX_STALL + patience + NOTICING;
        tokio::time::sleep_until(until.into()).await;
        scene.networks[0].set(Weather::Cut);
        tokio::time::sleep(Duration::from_millis(50)).await;
        scene.networks[0].set(Weather::Fine);
        let error = outcome.await.unwrap().unwrap_err();
        assert!(error.message().starts_with("nobody knows yet"), "{error:?}");
        assert_eq!(application.0.load(Ordering::SeqCst), 0);
        assert_eq!(scene.direction().await, Direction::Reverse);
        let error = scene.cut_over_again().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsafe, "{error:?}");
    }
}
