//! What a call costs: the documented update, made in five ways against one server on loopback.
//!
//! `cargo run --release -p sigmamind-benches` prints two tables; `-- --markdown` prints the ratios
//! alone, as they stand in the README; `-- --rounds 5` is quicker (default: 15).

mod contenders;
mod measure;
mod server;

use std::{env, error::Error, time::Duration};

use contenders::{ALL, Contender};
use measure::{Cost, instructions, many, median};
use server::Server;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

const COMMAND: &str = "cargo run --release -p sigmamind-benches";
/// Callers at a time, and the calls of each in a round.
const ROUNDS: [(usize, usize); 2] = [(1, 2000), (64, 100)];

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["server", latency] => {
            return Ok(server::serve(Duration::from_millis(latency.parse()?))?);
        }
        ["client", contender, origin, calls] => {
            let (_, start) = ALL[contender.parse::<usize>()?];
            return start(origin)?.run(1, calls.parse()?);
        }
        _ => {}
    }
    let rounds = match arguments.iter().position(|a| *a == "--rounds") {
        Some(at) => arguments.get(at + 1).unwrap_or(&"").parse()?,
        None => 15,
    };
    let markdown = arguments.contains(&"--markdown");

    let table = table(rounds)?;
    if markdown {
        print_markdown(&table);
        return Ok(());
    }
    println!("$ {COMMAND}");
    println!(
        "\nOne call: medians of {rounds} interleaved rounds; in brackets the ratio to the first line."
    );
    print_table(&table);
    println!(
        "\nMany calls of one client on {} threads: calls/s",
        threads()
    );
    print_many()
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// One column: its title, how its numbers are printed, and for each contender the number and its
/// ratio to the first contender's.
struct Column {
    title: String,
    decimals: usize,
    cells: Vec<(f64, f64)>,
}

fn table(rounds: usize) -> Result<Vec<Column>, Box<dyn Error + Send + Sync>> {
    let server = Server::start(Duration::ZERO)?;
    let mut contenders = ALL
        .iter()
        .map(|(_, start)| start(&server.origin))
        .collect::<Result<Vec<_>, _>>()?;
    let mut columns = Vec::new();
    for (callers, calls) in ROUNDS {
        let costs = interleaved(&mut contenders, rounds, callers, calls)?;
        let mut column = |title: String, decimals, what: fn(&Cost) -> f64| {
            let cells = costs
                .iter()
                .map(|own| {
                    let ratios = own.iter().zip(&costs[0]).map(|(o, b)| what(o) / what(b));
                    (median(own.iter().map(what)), median(ratios))
                })
                .collect();
            columns.push(Column {
                title,
                decimals,
                cells,
            });
        };
        column(format!("calls/s, {callers}"), 0, |cost| cost.rate);
        column(format!("CPU µs, {callers}"), 1, |cost| cost.cpu);
        if callers == 1 {
            column("allocations".into(), 0, |cost| cost.allocations);
        }
    }
    let counts = (0..ALL.len())
        .map(|contender| instructions(contender, &server.origin))
        .collect::<Option<Vec<_>>>();
    match counts {
        Some(counts) => columns.push(Column {
            title: "instructions".into(),
            decimals: 0,
            cells: counts.iter().map(|own| (*own, own / counts[0])).collect(),
        }),
        None => eprintln!("No instructions are counted: that needs valgrind."),
    }
    Ok(columns)
}

/// Every contender in every round, in turns, so that a disturbance meets all of them.
fn interleaved(
    contenders: &mut [Box<dyn Contender>],
    rounds: usize,
    callers: usize,
    calls: usize,
) -> Result<Vec<Vec<Cost>>, Box<dyn Error + Send + Sync>> {
    let mut costs = vec![Vec::new(); contenders.len()];
    for contender in contenders.iter_mut() {
        contender.run(callers, calls.div_ceil(10))?; // connects, and warms up
    }
    for round in 0..rounds {
        for turn in 0..contenders.len() {
            let at = (round + turn) % contenders.len();
            let contender = &mut contenders[at];
            costs[at].push(Cost::of(ALLOCATOR, callers * calls, || {
                contender.run(callers, calls)
            })?);
        }
    }
    Ok(costs)
}

fn print_table(columns: &[Column]) {
    print!("{:26}", "");
    for column in columns {
        print!("{:>18}", column.title);
    }
    println!();
    for (row, (name, _)) in ALL.iter().enumerate() {
        print!("{name:26}");
        for column in columns {
            let (number, ratio) = column.cells[row];
            print!("{number:>10.*} ({ratio:.2})", column.decimals);
        }
        println!();
    }
}

fn print_markdown(columns: &[Column]) {
    let titles: Vec<_> = columns.iter().map(|c| c.title.as_str()).collect();
    println!("| | {} |", titles.join(" | "));
    println!("|---{}|", "|--:".repeat(columns.len()));
    for (row, (name, _)) in ALL.iter().enumerate() {
        let ratios: Vec<_> = columns
            .iter()
            .map(|c| format!("{:.2}", c.cells[row].1))
            .collect();
        println!("| {name} | {} |", ratios.join(" | "));
    }
}

fn print_many() -> Result<(), Box<dyn Error + Send + Sync>> {
    let latencies = [0, 50].map(Duration::from_millis);
    let servers = latencies
        .map(Server::start)
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    println!("{:>8}{:>16}{:>16}", "at once", "0 ms", "50 ms");
    for callers in (0..=8).map(|power| 1 << power) {
        print!("{callers:>8}");
        for server in &servers {
            print!("{:>16.0}", many(&server.origin, callers)?);
        }
        println!();
    }
    Ok(())
}
