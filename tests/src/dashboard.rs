//! The dashboard in config/grafana, as the tests of it read it.

use std::path::Path;

use serde_json::Value;

/// The whole.
pub fn read() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/grafana/evenkeel.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Its panels, rows included.
pub fn panels(dashboard: &Value) -> &[Value] {
    dashboard["panels"].as_array().expect("panels")
}

/// Every expression of its panels.
pub fn expressions() -> Vec<String> {
    let dashboard = read();
    let targets = panels(&dashboard).iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    targets.map(|target| target["expr"].as_str().expect("a target has an expression").to_owned()).collect()
}
