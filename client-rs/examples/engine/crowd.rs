//! Many requests at once, of which some are refused and some are left by their readers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use clap::Args;
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{Engine, likely, request};

/// How many, and what becomes of them.
#[derive(Args, Clone, Copy)]
pub struct Crowd {
    /// Requests that run at once.
    #[arg(long, default_value_t = 0)]
    pub at_once: u64,
    /// Requests to be made; until Ctrl-C by default.
    #[arg(long)]
    requests: Option<u64>,
    /// Tokens of each.
    #[arg(long, default_value_t = 64)]
    tokens: u64,
    /// Every so many requests the reader leaves after half of the tokens; 0 for none.
    #[arg(long, default_value_t = 0)]
    leave: u64,
    /// Every so many requests one has no prompt, which the engine refuses; 0 for none.
    #[arg(long, default_value_t = 0)]
    wrong: u64,
}

/// What came of the requests.
struct Report {
    whole: u64,
    left: u64,
    tokens: u64,
    /// How many ended otherwise, by the code and the message.
    errors: BTreeMap<String, u64>,
    /// Whole answers by the version that gave them: how many, and which likelihoods their tokens had, answer by answer.
    versions: BTreeMap<u32, (u64, BTreeSet<String>)>,
    first: Histogram<u64>,
    between: Histogram<u64>,
}

impl Crowd {
    /// Makes the requests and prints a report.
    pub async fn run(self, engine: Engine) -> anyhow::Result<()> {
        println!("generating");
        let times = || Histogram::new_with_bounds(1, 60_000_000_000, 3);
        let report = Report {
            whole: 0,
            left: 0,
            tokens: 0,
            errors: BTreeMap::new(),
            versions: BTreeMap::new(),
            first: times()?,
            between: times()?,
        };
        let report = Arc::new(Mutex::new(report));
        let numbers = Arc::new(AtomicU64::new(0));
        let mut readers = JoinSet::new();
        for _ in 0..self.at_once {
            let (engine, report, numbers) = (engine.clone(), Arc::clone(&report), Arc::clone(&numbers));
            readers.spawn(async move {
                loop {
                    let number = numbers.fetch_add(1, Ordering::Relaxed);
                    if self.requests.is_some_and(|requests| number >= requests) {
                        return anyhow::Ok(());
                    }
                    self.read(number, &engine, &report).await?;
                }
            });
        }
        let all = async {
            while let Some(ended) = readers.join_next().await {
                ended??;
            }
            anyhow::Ok(())
        };
        tokio::select! {
            ended = all => ended?,
            interrupted = tokio::signal::ctrl_c() => interrupted?,
        }
        println!("{}", report.lock().unwrap_or_else(PoisonError::into_inner).told());
        Ok(())
    }

    async fn read(self, number: u64, engine: &Engine, report: &Mutex<Report>) -> anyhow::Result<()> {
        let every = |count: u64| count > 0 && number % count == count - 1;
        let prompt: &[u64] = if every(self.wrong) { &[] } else { &[1, 2, 3] };
        let asked = request(format!("request-{number}"), prompt, self.tokens)?;
        let mut before = Instant::now();
        let (mut times, mut likelihoods) = (Vec::new(), BTreeSet::new());
        let mut failed = None;
        let mut version = 0;
        match engine.ask(asked).await {
            Err(refused) => failed = Some(refused),
            Ok(mut tokens) => {
                while let Some(output) = tokens.next().await {
                    match output {
                        Err(error) => failed = Some(error),
                        Ok(output) => {
                            likelihoods.extend(likely(&output).map(|logprob| logprob.to_string()));
                            times.push(std::mem::replace(&mut before, Instant::now()).elapsed());
                            if every(self.leave) && times.len() as u64 == self.tokens / 2 {
                                break;
                            }
                        }
                    }
                }
                version = tokens.version();
            }
        }
        let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
        let report = &mut *report;
        report.tokens += times.len() as u64;
        if let Some((first, between)) = times.split_first() {
            report.first.saturating_record(first.as_nanos() as u64);
            for time in between {
                report.between.saturating_record(time.as_nanos() as u64);
            }
        }
        match failed {
            None if times.len() as u64 == self.tokens => {
                report.whole += 1;
                let (answers, seen) = report.versions.entry(version).or_default();
                *answers += 1;
                seen.insert(likelihoods.into_iter().collect::<Vec<_>>().join(" and "));
            }
            None => report.left += 1,
            Some(error) => *report.errors.entry(error.code().to_string()).or_default() += 1,
        }
        Ok(())
    }
}

impl Report {
    fn told(&self) -> Value {
        let versions: BTreeMap<_, _> = (self.versions.iter())
            .map(|(version, (answers, seen))| (version, json!({"answers": answers, "likelihoods": seen})))
            .collect();
        json!({
            "whole": self.whole,
            "left": self.left,
            "tokens": self.tokens,
            "errors": self.errors,
            "versions": versions,
            "first_us": quantiles(&self.first),
            "between_us": quantiles(&self.between),
        })
    }
}

fn quantiles(times: &Histogram<u64>) -> Value {
    let us = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
    json!({"p50": us(0.5), "p90": us(0.9), "p99": us(0.99), "p999": us(0.999)})
}
