//! The dashboard: what Grafana needs of it, and that its panels do not lie upon each other.

use std::collections::BTreeSet;

use evenkeel_tests::dashboard::{expressions, panels, read};
use serde_json::{Value, json};

/// Every expression, those of its variables included.
pub(crate) fn whole() -> Vec<String> {
    let dashboard = read();
    let variables = dashboard["templating"]["list"].as_array().expect("variables");
    let queries = variables.iter().filter_map(|variable| variable["definition"].as_str()).map(str::to_owned);
    expressions().into_iter().chain(queries).collect()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn it_is_a_dashboard_of_grafana() {
    let dashboard = read();
    assert_eq!(dashboard["uid"], "evenkeel");
    assert_eq!(dashboard["id"], Value::Null, "Grafana gives it one");
    assert!(number(&dashboard["schemaVersion"]) >= 36, "datasources by uid came with Grafana 9");
    for (field, is) in
        [("title", Value::is_string as fn(&Value) -> bool), ("tags", Value::is_array), ("time", Value::is_object)]
    {
        assert!(is(&dashboard[field]), "{field}");
    }
    let mut ids = BTreeSet::new();
    for panel in panels(&dashboard) {
        let title = panel["title"].as_str().expect("a title");
        assert!(ids.insert(number(&panel["id"])), "the id of {title:?} is there twice");
        let kind = panel["type"].as_str().expect("a type");
        if kind == "row" {
            continue;
        }
        assert!(["timeseries", "stat", "heatmap"].contains(&kind), "{title}: {kind}");
        assert!(panel["description"].as_str().is_some_and(|text| !text.is_empty()), "{title:?} explains nothing");
        assert!(panel["fieldConfig"]["defaults"].is_object() && panel["options"].is_object(), "{title}");
        let targets = panel["targets"].as_array().expect("targets");
        assert!(!targets.is_empty(), "{title}");
        let references: BTreeSet<&str> =
            targets.iter().map(|target| target["refId"].as_str().expect("a refId")).collect();
        assert_eq!(references.len(), targets.len(), "{title}: a refId twice");
    }
}

/// Whoever imports it says which Prometheus it is to ask, and nothing in it knows better.
#[test]
fn it_asks_the_data_source_that_is_chosen() {
    let dashboard = read();
    let variables = dashboard["templating"]["list"].as_array().expect("variables");
    let source = variables.iter().find(|variable| variable["name"] == "DS_PROMETHEUS").expect("a variable for it");
    assert_eq!((&source["type"], &source["query"]), (&json!("datasource"), &json!("prometheus")));
    let chosen = json!({"type": "prometheus", "uid": "${DS_PROMETHEUS}"});
    let mut asked = 0;
    for part in variables.iter().filter(|variable| variable["type"] == "query").chain(
        panels(&dashboard)
            .iter()
            .filter(|panel| panel["type"] != "row")
            .flat_map(|panel| std::iter::once(panel).chain(panel["targets"].as_array().expect("targets"))),
    ) {
        assert_eq!(part["datasource"], chosen, "{part}");
        asked += 1;
    }
    assert!(asked > 50);
    let names: Vec<&str> = variables.iter().filter_map(|variable| variable["name"].as_str()).collect();
    for expression in whole() {
        for used in expression.split('$').skip(1) {
            let name: String = used.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
            assert!(name == "__rate_interval" || names.contains(&name.as_str()), "nobody sets ${name} in {expression}");
        }
    }
}

#[test]
fn no_panel_lies_upon_another_or_beyond_the_edge() {
    let dashboard = read();
    let mut taken = BTreeSet::new();
    for panel in panels(&dashboard) {
        let place = &panel["gridPos"];
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| number(&place[side]));
        assert!(w > 0 && h > 0 && x + w <= 24, "{}", panel["title"]);
        for column in x..x + w {
            for line in y..y + h {
                assert!(taken.insert((column, line)), "{} lies upon another", panel["title"]);
            }
        }
    }
}
