//! What watches a cluster, as far as it needs nothing but this repository: the dashboard, the names in the alerts, the unit,
//! and what a node tells a service manager. (With a real Prometheus: `--test prometheus`.)

mod dashboard;
mod names;
mod unit;
