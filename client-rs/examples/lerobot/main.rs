//! An arm that is led by asynchronous inference, as `LeRobot`'s are: observations go out while earlier actions are executed,
//! and chunks of actions that overlap are blended.
//!
//! `lerobot`, with `policy.py` beside this file as the cells of a notebook or as a script. It goes on until Ctrl-C and prints
//! what came of it. `--measure` calls by the slice, for `make bench-ported`.
//!
//! What `LeRobot`'s server does with a queue of one observation is the option `latest` of a call here: a newer observation takes
//! the place of one that no policy has looked at yet.
#![allow(clippy::print_stdout, reason = "a program")]

#[path = "../slices/mod.rs"]
mod slices;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use pycrust_client::{Arena, Code, Error, Reply, RpcClient, Tensor, TensorMut, TensorView};
use serde::Serialize;
use serde_json::json;
use slices::Slices;
use tokio::sync::mpsc;

const SHAPE: [usize; 3] = [480, 640, 3];
const IMAGE: usize = SHAPE[0] * SHAPE[1] * SHAPE[2];
const MOTORS: usize = 6;
const TASK: &str = "put the cube into the box";
/// What remains of an action when a newer chunk has another one for its step: `LeRobot`'s `weighted_average`.
const KEPT: f32 = 0.3;

/// Executes actions that are predicted meanwhile.
#[derive(Parser)]
struct Options {
    /// The endpoint's name.
    #[arg(long, default_value = "lerobot")]
    endpoint: String,
    /// Steps a second.
    #[arg(long, default_value_t = 30.0)]
    hz: f64,
    /// An observation is sent while no more than this share of a chunk is left.
    #[arg(long, default_value_t = 0.5)]
    threshold: f64,
    /// Calls as often as answers come, in slices of time that standard input asks for, from images that were
    #[arg(long, value_enum)]
    measure: Option<Images>,
}

/// Where images come from.
#[derive(Clone, Copy, ValueEnum)]
enum Images {
    /// built in shared memory
    InPlace,
    /// in memory of the arm's own
    Copied,
}

/// What `predict` takes; `I` is an image.
#[derive(Serialize)]
struct Observation<'a, I> {
    images: Cameras<&'a I>,
    state: &'a Tensor<f32>,
    task: &'a str,
}

#[derive(Serialize)]
struct Cameras<I> {
    front: I,
    wrist: I,
}

impl<'a, I: Serialize> Observation<'a, I> {
    fn new([front, wrist]: &'a [I; 2], state: &'a Tensor<f32>) -> Self {
        Self { images: Cameras { front, wrist }, state, task: TASK }
    }

    async fn send(&self, client: &RpcClient) -> Result<Reply<TensorView>, Error> {
        client.request("predict").latest(true).send(self).await
    }
}

/// Room for the images of one call, where they are sent from.
async fn allocate(client: &RpcClient) -> Result<[TensorMut<u8>; 2], Error> {
    let build = |arena: &Arena| [arena.allocate(&SHAPE), arena.allocate(&SHAPE)];
    client.build(2 * (IMAGE + 64), build).await
}

/// What a camera writes.
fn expose(image: &mut [u8], camera: usize, step: u64) {
    for (at, row) in image.chunks_exact_mut(SHAPE[1] * SHAPE[2]).enumerate() {
        row.fill((step as usize + 120 * camera + at) as u8);
    }
}

/// The actions that are to come, by the step that each is for.
#[derive(Default)]
struct Actions {
    planned: BTreeMap<u64, Vec<f32>>,
    /// The step of the last action that was executed.
    executed: u64,
    chunk: usize,
}

impl Actions {
    /// A chunk has come that was predicted from what was seen at a step: what is past is dropped, what overlaps is blended.
    fn add(&mut self, seen: u64, chunk: &[f32]) {
        self.chunk = self.chunk.max(chunk.len() / MOTORS);
        let older = std::mem::take(&mut self.planned);
        for (step, action) in
            (seen..).zip(chunk.chunks_exact(MOTORS)).filter(|(step, _)| *step > self.executed)
        {
            let mut action = action.to_vec();
            if let Some(older) = older.get(&step) {
                action.iter_mut().zip(older).for_each(|(new, old)| *new = KEPT * old + (1.0 - KEPT) * *new);
            }
            self.planned.insert(step, action);
        }
    }

    /// The next action.
    fn next(&mut self) -> Option<Vec<f32>> {
        let (step, action) = self.planned.pop_first()?;
        self.executed = step;
        Some(action)
    }

    /// Whether so few are left that the policy is to look again.
    fn are_few(&self, threshold: f64) -> bool {
        self.planned.len() as f64 <= threshold * self.chunk as f64
    }
}

/// What came of it.
#[derive(Default)]
struct Report {
    steps: u64,
    /// Steps for which there was no action.
    starved: u64,
    observations: u64,
    /// Observations whose place a newer one took.
    superseded: u64,
    /// Chunks of each version.
    versions: BTreeMap<u32, u64>,
    errors: BTreeMap<String, u64>,
}

/// What came of an observation that was made at a step.
type Answer = (u64, Result<Reply<TensorView>, Error>);

/// An observation to the policy, and its chunk back.
async fn observe(client: &RpcClient, state: Vec<f32>, step: u64) -> Result<Reply<TensorView>, Error> {
    let mut images = allocate(client).await?;
    for (camera, image) in images.iter_mut().enumerate() {
        expose(image.as_mut_slice(), camera, step);
    }
    Observation::new(&images, &Tensor::from(state)).send(client).await
}

impl Report {
    fn take(&mut self, actions: &mut Actions, (seen, answer): Answer) -> anyhow::Result<()> {
        match answer {
            Ok(reply) => {
                *self.versions.entry(reply.version()).or_default() += 1;
                actions.add(seen, &reply.value().to_vec::<f32>()?);
            }
            Err(error) if error.code() == Code::Aborted => self.superseded += 1,
            Err(error) => *self.errors.entry(error.to_string()).or_default() += 1,
        }
        Ok(())
    }
}

async fn control(client: &RpcClient, options: &Options) -> anyhow::Result<()> {
    let (mut report, mut actions) = (Report::default(), Actions::default());
    let mut state = vec![0.1; MOTORS];
    let (told, mut answers) = mpsc::unbounded_channel();
    let mut pacer = client.pacer(Duration::from_secs_f64(1.0 / options.hz));
    let mut stopped = std::pin::pin!(tokio::signal::ctrl_c());
    println!("moving");
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            () = pacer.tick() => {}
        }
        while let Ok(answer) = answers.try_recv() {
            report.take(&mut actions, answer)?;
        }
        report.steps += 1;
        match actions.next() {
            Some(action) => state = action,
            None => report.starved += 1,
        }
        if actions.are_few(options.threshold) {
            report.observations += 1;
            let (client, told, state, seen) = (client.clone(), told.clone(), state.clone(), actions.executed);
            tokio::spawn(async move {
                let answer = observe(&client, state, seen).await;
                // Nobody waits for it any more if the arm has stopped.
                let _ = told.send((seen, answer));
            });
        }
    }
    println!(
        "{}",
        json!({
            "steps": report.steps, "starved": report.starved, "observations": report.observations,
            "superseded": report.superseded, "versions": report.versions, "errors": report.errors, "state": state,
        })
    );
    Ok(())
}

async fn measure(client: &RpcClient, from: Images) -> anyhow::Result<()> {
    let state = Tensor::from(vec![0.1; MOTORS]);
    let owned = || Tensor::new(&SHAPE, vec![0_u8; IMAGE]);
    let mut owned = [owned()?, owned()?];
    let mut slices = Slices::begin()?;
    let mut step = 0;
    while let Some(mut slice) = slices.next()? {
        while slice.goes_on() {
            step += 1;
            let (took, answer) = match from {
                Images::InPlace => {
                    // The time that the cameras write in is nobody's.
                    let begun = Instant::now();
                    let mut images = allocate(client).await?;
                    let room = begun.elapsed();
                    for (camera, image) in images.iter_mut().enumerate() {
                        expose(image.as_mut_slice(), camera, step);
                    }
                    let begun = Instant::now();
                    let answer = Observation::new(&images, &state).send(client).await;
                    (room + begun.elapsed(), answer)
                }
                Images::Copied => {
                    for (camera, image) in owned.iter_mut().enumerate() {
                        expose(image.as_mut_slice(), camera, step);
                    }
                    let begun = Instant::now();
                    let answer = Observation::new(&owned, &state).send(client).await;
                    (begun.elapsed(), answer)
                }
            };
            slice.took(took, answer.is_ok());
        }
        slice.tell()?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let client =
        RpcClient::builder(&options.endpoint).wait_for_worker(Duration::from_secs(10)).connect().await?;
    match options.measure {
        Some(from) => measure(&client, from).await?,
        None => control(&client, &options).await?,
    }
    client.close().await;
    Ok(())
}
