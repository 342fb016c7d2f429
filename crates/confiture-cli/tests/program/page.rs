//! The monitor's page in headless Chromium, with a real migration behind it. Pictures lie in `target/page/`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::browser::{self, Browser};
use crate::schema_to_schema::{Shop, psql};
use crate::watched::{Monitor, TOKEN, psql_beside, sync};

fn pictures() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("../page")
}

#[tokio::test]
async fn the_page_shows_what_is_true_and_its_buttons_work() {
    let Some(chromium) = browser::find() else { return };
    let shop = Shop::new().await;
    psql(
        &shop.old,
        "insert into posts select i, 1 + i % 1234, 'post ' || i from generate_series(5001, 200000) i; analyze",
    );
    let monitor = Monitor::start(&shop, &["--allow-control"]);
    let mut page = Browser::start(&chromium);
    page.look(1280, 900, "light");
    page.open(&format!("http://{}/", monitor.address));
    page.until("document.querySelector('#headline').textContent === 'No migration yet'");
    page.picture(&pictures().join("before.png"));
    assert_eq!(page.complaints(), [""; 0]);

    let _run = sync(&shop, &[]);
    let _writer = psql_beside(
        &shop.old,
        "do $$ begin for i in 1..100000 loop update users set full_name = 'writer ' || i where id = 1 + i % 123;
             commit; perform pg_sleep(0.01); end loop; end $$",
    );
    page.until("document.querySelector('#headline').textContent.startsWith('Following')");
    page.until("document.querySelectorAll('#comparisons [data-mark=pass]').length > 0");
    page.until("Number(document.querySelectorAll('.figure .value')[1].textContent.replace(/,/g, '')) > 0");
    // What the page says is what the database says.
    assert_eq!(page.text("[data-table='public.users'] .rows span"), "1,234");
    assert_eq!(page.text("[data-table='public.posts'] .rows span"), "200,000");
    assert_eq!(page.text("[data-table='public.posts'] .state"), "following");
    assert_eq!(page.text("#tables-aside"), "2 of 2 are there");
    let counts = psql(&shop.new, "select (select count(*) from users), (select count(*) from posts)");
    assert_eq!(counts, "1234|200000");
    assert_eq!(page.text("#rail [data-state=now]"), "Verified");
    assert_eq!(the_same_list(&mut page, &shop)["prepared"], "PASS");
    assert!(page.text("#events").contains("phase: following"));
    assert_eq!(page.value("document.querySelectorAll('.plot .line').length"), json!(3));
    page.until("document.querySelector('#plot-lag .line').getAttribute('d').split('L').length > 3");

    // In every look, and never wider than the window.
    let mut shots = Vec::new();
    for (name, width, scheme) in [
        ("light", 1280, "light"),
        ("dark", 1280, "dark"),
        ("phone", 390, "light"),
        ("phone-dark", 390, "dark"),
    ] {
        page.look(width, 844, scheme);
        page.until(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))",
        );
        assert_eq!(page.value("document.documentElement.scrollWidth <= innerWidth"), json!(true), "{name}");
        let ground = page.value("getComputedStyle(document.body).backgroundColor");
        shots.push((ground, page.picture(&pictures().join(format!("{name}.png"))).len()));
    }
    assert_ne!(shots[0].0, shots[1].0, "dark is another ground than light");
    assert!(shots.iter().all(|(_, bytes)| *bytes > 20_000), "{shots:?}");
    page.look(1280, 900, "light");
    assert_eq!(page.complaints(), [""; 0]);

    buttons(&mut page, &shop);
    // What a cutover writes down.
    psql(
        &shop.new,
        "insert into confiture.cutover (kind, started_at, fenced_at, ended_at, outcome, stall_ms, found) values
             ('cutover', now() - interval '3 minutes', now() - interval '2 minutes', now(), 'given_up', 5012, 'a writer was open for too long'),
             ('rollback', now() - interval '1 minutes', now() - interval '1 minutes', now(), 'done', 240, null)",
    );
    page.until("document.querySelectorAll('#stall .fence').length === 2");
    assert!(page.text("#stall").contains("given up, writes waited 5.0 s. a writer was open for too long"));
    page.picture(&pictures().join("paused.png"));
    page.value("document.querySelector('#resume').click()");
    page.until("document.querySelector('#headline').textContent.startsWith('Following')");
    assert_eq!(psql(&shop.new, "select paused from confiture.control"), "f");
    assert_eq!(page.complaints(), [""; 0]);

    let own = format!("http://{}/", monitor.address);
    let elsewhere: Vec<String> = page
        .requests()
        .into_iter()
        .filter(|url| !url.starts_with(&own) && !url.starts_with("data:") && url != "about:blank")
        .collect();
    assert_eq!(elsewhere, [""; 0], "the page needs nothing from elsewhere");

    drop(monitor);
    page.until("document.querySelector('#fresh').dataset.fresh === 'stale'");
}

/// Waits until the page shows the points of `checklist`, each with the same outcome.
fn the_same_list(page: &mut Browser, shop: &Shop) -> BTreeMap<String, String> {
    let shown = "[...document.querySelectorAll('#checks [data-check]')].map(
        (one) => [one.dataset.check, one.querySelector('.outcome').textContent])";
    let began = Instant::now();
    loop {
        let said = shop.call("checklist --from production --to production_new --format json");
        let checks = said.json()["result"]["checks"].as_array().unwrap_or_else(|| panic!("{said}")).clone();
        let word = |value: &serde_json::Value| value.as_str().expect("a word").to_owned();
        let told: Vec<(String, String)> =
            checks.iter().map(|check| (word(&check["id"]), word(&check["outcome"]).to_uppercase())).collect();
        let shows: Vec<(String, String)> = serde_json::from_value(page.value(shown)).expect("pairs");
        if told == shows {
            return told.into_iter().collect();
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{told:?} is shown as {shows:?}");
    }
}

fn buttons(page: &mut Browser, shop: &Shop) {
    let paused = || psql(&shop.new, "select paused from confiture.control");
    page.value("document.querySelector('#pause').click()");
    page.until("document.querySelector('#said').textContent.startsWith('Type the token first')");
    page.value("(document.querySelector('#token').value = 'wrong-wrong-wrong-wrong', document.querySelector('#pause').click())");
    page.until("document.querySelector('#said').textContent.includes('the token is missing or wrong')");
    assert_eq!(paused(), "f");
    // The browser itself tells of the answer 401, and of nothing else.
    let complaints = page.complaints();
    assert!(complaints.len() == 1 && complaints[0].contains("401"), "{complaints:?}");
    let token = json!(TOKEN);
    page.value(&format!("(document.querySelector('#token').value = {token}, document.querySelector('#most').value = '5000', document.querySelector('#throttle').click())"));
    page.until("document.querySelector('#said').textContent.includes('5,000 rows a second')");
    assert_eq!(psql(&shop.new, "select max_rows_per_second from confiture.control"), "5000");
    page.value("(document.querySelector('#most').value = '', document.querySelector('#throttle').click())");
    page.until("document.querySelector('#said').textContent.includes('as fast as it can')");
    page.value("document.querySelector('#pause').click()");
    page.until("document.querySelector('#headline').textContent === 'Paused'");
    assert_eq!(paused(), "t");
}

/// The report is looked at as the page is.
#[tokio::test]
async fn the_report_is_one_file_that_a_browser_shows_without_complaint() {
    let Some(chromium) = browser::find() else { return };
    let shop = Shop::new().await;
    let said = shop.call(
        "sync --from production --to production_new --mapping db/mapping.yaml --yes -q --until-caught-up",
    );
    assert_eq!(said.status, 0, "{said}");
    let said = shop.call("report --to production_new --output migration.html");
    assert_eq!(said.status, 0, "{said}");
    let mut page = Browser::start(&chromium);
    page.look(1100, 900, "light");
    page.open(&format!("file://{}", shop.project.path().join("migration.html").display()));
    page.until("document.readyState === 'complete'");
    assert!(page.text("main").contains("1,234"), "the figures");
    page.picture(&pictures().join("report.png"));
    page.look(390, 844, "dark");
    assert_eq!(page.value("document.documentElement.scrollWidth <= innerWidth"), json!(true));
    page.picture(&pictures().join("report-phone-dark.png"));
    assert_eq!(page.complaints(), [""; 0]);
}
