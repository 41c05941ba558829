//! `evenkeel nodes`: the nodes, their load, and whether any document would gain by moving.

use std::io::{self, Write};

use evenkeel_node::api::types::{Equilibrium, NodeStatus};

use crate::cli::read::NodesArgs;
use crate::client::{self, Client};
use crate::output::exit::{CommandResult, ExitStatus};
use crate::output::table::{self, Column, Format, Row};

/// Shows the nodes.
pub(super) fn nodes(arguments: NodesArgs) -> CommandResult {
    let client = Client::new(&arguments.client)?;
    client::run(async {
        let nodes = client.nodes().await?;
        let mut out = io::stdout().lock();
        match arguments.format.output {
            Format::Table => {
                table::list(&mut out, Format::Table, &nodes.nodes)?;
                writeln!(out, "{}", sentence(&nodes.equilibrium))?;
            }
            Format::Json => table::show(&mut out, Format::Json, &nodes, &[])?,
            Format::Jsonl => table::list(&mut out, Format::Jsonl, &nodes.nodes)?,
        }
        Ok(ExitStatus::Ok)
    })
}

impl Row for NodeStatus {
    const LIST: &'static str = "nodes";
    const COLUMNS: &'static [Column] = &[
        Column::Text("name"),
        Column::Text("state"),
        Column::Number("pending"),
        Column::Number("running"),
        Column::Number("speed"),
        Column::Number("level"),
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.state.as_str().to_owned(),
            self.pending.to_string(),
            format!("{}/{}", self.running, self.max_process),
            figure(self.speed),
            figure(self.level),
        ]
    }
}

/// Whether the cluster is in equilibrium and, if not, what could be gained; and the bound that follows from it.
fn sentence(equilibrium: &Equilibrium) -> String {
    let Equilibrium { in_equilibrium, regret, epsilon, certificate } = equilibrium;
    let mut text = match in_equilibrium {
        true => "in equilibrium".to_owned(),
        false => format!(
            "not in equilibrium: a document could gain {} by moving, and more than {} is worth it",
            figure(*regret),
            figure(*epsilon)
        ),
    };
    if let Some(certificate) = certificate {
        text.push_str(&format!(
            "\nthe highest level is {}, {} the bound of every equilibrium, {} (mean {})",
            figure(certificate.highest),
            if certificate.holds { "within" } else { "above" },
            figure(certificate.bound),
            figure(certificate.mean)
        ));
    }
    text
}

/// Four digits, whatever the unit of lengths is.
pub(super) fn figure(number: f64) -> String {
    match number.abs() {
        size if size == 0.0 || (0.1..1e6).contains(&size) => {
            let decimals = if size >= 1_000.0 || size == 0.0 {
                0
            } else if size >= 100.0 {
                1
            } else {
                2
            };
            format!("{number:.decimals$}")
        }
        _ => format!("{number:.3e}"),
    }
}

#[cfg(test)]
mod tests {
    use evenkeel_node::api::types::Certificate;

    use super::*;

    #[test]
    fn figures_are_short() {
        let shown: Vec<String> =
            [0.0, 0.5, 12.345, 123.45, 65_432.1, 1.5e9, 0.000_123].into_iter().map(figure).collect();
        assert_eq!(shown, ["0", "0.50", "12.35", "123.5", "65432", "1.500e9", "1.230e-4"]);
        assert_eq!(figure(f64::INFINITY), "inf");
    }

    #[test]
    fn the_gain_left_is_told_with_the_bound() {
        let certificate = Some(Certificate { highest: 9.0, mean: 4.0, bound: 6.5, holds: false });
        let far = Equilibrium { in_equilibrium: false, regret: 3.25, epsilon: 0.5, certificate };
        assert_eq!(
            sentence(&far),
            "not in equilibrium: a document could gain 3.25 by moving, and more than 0.50 is worth it\n\
             the highest level is 9.00, above the bound of every equilibrium, 6.50 (mean 4.00)"
        );
        let idle = Equilibrium { in_equilibrium: true, regret: 0.0, epsilon: 0.5, certificate: None };
        assert_eq!(sentence(&idle), "in equilibrium");
    }
}
