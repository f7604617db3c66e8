//! A robot whose actions come from a policy, in chunks, as openpi's do: three cameras and the joints go out, 50 steps of 14
//! joints come back.
//!
//! `openpi`, with `policy.py` beside this file as the cells of a notebook or as a script. It goes on until Ctrl-C and prints
//! what came of it. `--measure` calls by the slice, for `make bench-ported`.
//!
//! openpi's own client asks for the next chunk when the last one is used up, and the arm waits. Here it is asked for some
//! steps before, and until it has come, the arm goes on with the one that it has.
#![allow(clippy::print_stdout, reason = "a program")]

#[path = "../slices/mod.rs"]
mod slices;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use pycrust_client::{Arena, Error, Reply, RpcClient, Tensor, TensorMut, TensorView};
use serde::Serialize;
use serde_json::json;
use slices::Slices;
use tokio::task::JoinHandle;

const SHAPE: [usize; 3] = [224, 224, 3];
const IMAGE: usize = SHAPE[0] * SHAPE[1] * SHAPE[2];
const JOINTS: usize = 14;
const PROMPT: &str = "fold the towel";

/// Executes chunks of actions.
#[derive(Parser)]
struct Options {
    /// The endpoint's name.
    #[arg(long, default_value = "openpi")]
    endpoint: String,
    /// Steps a second.
    #[arg(long, default_value_t = 50.0)]
    hz: f64,
    /// Steps of each chunk that are executed before the next one is asked for.
    #[arg(long, default_value_t = 25)]
    replan: usize,
    /// Calls as often as answers come, in slices of time that standard input asks for, from images that were
    #[arg(long, value_enum)]
    measure: Option<Images>,
}

/// Where images come from.
#[derive(Clone, Copy, ValueEnum)]
enum Images {
    /// built in shared memory
    InPlace,
    /// in memory of the robot's own
    Copied,
}

/// What `infer` takes; `I` is an image.
#[derive(Serialize)]
struct Observation<'a, I> {
    images: Cameras<&'a I>,
    state: &'a Tensor<f64>,
    prompt: &'a str,
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are openpi's")]
struct Cameras<I> {
    cam_high: I,
    cam_left_wrist: I,
    cam_right_wrist: I,
}

impl<'a, I: Serialize> Observation<'a, I> {
    fn new([cam_high, cam_left_wrist, cam_right_wrist]: &'a [I; 3], state: &'a Tensor<f64>) -> Self {
        Self { images: Cameras { cam_high, cam_left_wrist, cam_right_wrist }, state, prompt: PROMPT }
    }

    async fn send(&self, client: &RpcClient) -> Result<Reply<TensorView>, Error> {
        client.request("infer").send(self).await
    }
}

/// Room for the images of one call, where they are sent from.
async fn allocate(client: &RpcClient) -> Result<[TensorMut<u8>; 3], Error> {
    let build = |arena: &Arena| [arena.allocate(&SHAPE), arena.allocate(&SHAPE), arena.allocate(&SHAPE)];
    client.build(3 * (IMAGE + 64), build).await
}

/// What a camera writes.
fn expose(image: &mut [u8], camera: usize, step: u64) {
    for (at, row) in image.chunks_exact_mut(SHAPE[1] * SHAPE[2]).enumerate() {
        row.fill((step as usize + 80 * camera + at) as u8);
    }
}

/// A chunk, and how many of its steps have been executed.
#[derive(Default)]
struct Plan {
    actions: Vec<f32>,
    executed: usize,
}

impl Plan {
    /// Moves the joints by one step; false if none is left.
    fn execute(&mut self, joints: &mut [f64]) -> bool {
        let Some(action) = self.actions.chunks_exact(JOINTS).nth(self.executed) else { return false };
        self.executed += 1;
        joints.iter_mut().zip(action).for_each(|(joint, &to)| *joint = to.into());
        true
    }
}

/// What came of it.
#[derive(Default)]
struct Report {
    steps: u64,
    /// Steps for which there was no action.
    waited: u64,
    /// Chunks of each version.
    versions: BTreeMap<u32, u64>,
    in_place: u64,
    errors: BTreeMap<String, u64>,
}

/// Whether the images were sent from where they were built, and the chunk.
type Answer = Result<(bool, Reply<TensorView>), Error>;

/// Images and joints to the policy, and its chunk back.
async fn ask(client: RpcClient, joints: Vec<f64>, step: u64) -> Answer {
    let mut images = allocate(&client).await?;
    for (camera, image) in images.iter_mut().enumerate() {
        expose(image.as_mut_slice(), camera, step);
    }
    let in_place = images.iter().all(TensorMut::is_shared);
    let reply = Observation::new(&images, &Tensor::from(joints)).send(&client).await?;
    Ok((in_place, reply))
}

async fn control(client: &RpcClient, options: &Options) -> anyhow::Result<()> {
    let (mut report, mut plan) = (Report::default(), Plan::default());
    let mut joints = vec![0.1; JOINTS];
    let mut asked: Option<JoinHandle<Answer>> = None;
    let mut pacer = client.pacer(Duration::from_secs_f64(1.0 / options.hz));
    let mut stopped = std::pin::pin!(tokio::signal::ctrl_c());
    println!("moving");
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            () = pacer.tick() => {}
        }
        if asked.as_ref().is_some_and(JoinHandle::is_finished)
            && let Some(answer) = asked.take()
        {
            match answer.await? {
                Ok((in_place, reply)) => {
                    report.in_place += u64::from(in_place);
                    *report.versions.entry(reply.version()).or_default() += 1;
                    plan = Plan { actions: reply.value().to_vec()?, executed: 0 };
                }
                Err(error) => *report.errors.entry(error.to_string()).or_default() += 1,
            }
        }
        if asked.is_none() && (plan.actions.is_empty() || plan.executed >= options.replan) {
            asked = Some(tokio::spawn(ask(client.clone(), joints.clone(), report.steps)));
        }
        report.steps += 1;
        report.waited += u64::from(!plan.execute(&mut joints));
    }
    if let Some(asked) = asked {
        asked.abort();
    }
    println!(
        "{}",
        json!({
            "steps": report.steps, "waited": report.waited, "versions": report.versions,
            "in_place": report.in_place, "errors": report.errors, "joints": joints,
        })
    );
    Ok(())
}

async fn measure(client: &RpcClient, from: Images) -> anyhow::Result<()> {
    let state = Tensor::from(vec![0.1; JOINTS]);
    let owned = || Tensor::new(&SHAPE, vec![0_u8; IMAGE]);
    let mut owned = [owned()?, owned()?, owned()?];
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
