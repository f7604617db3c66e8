//! Many carts with poles, stepped together.
//!
//! The equations of motion and the constants are those of Gymnasium's `CartPole-v1`, which has them from Barto, Sutton and
//! Anderson (1983), "Neuronlike adaptive elements that can solve difficult learning control problems", IEEE Transactions on
//! Systems, Man, and Cybernetics 13(5), without friction. An episode that ends is followed by the next one at once.

const GRAVITY: f32 = 9.8;
const POLE_MASS: f32 = 0.1;
const TOTAL_MASS: f32 = 1.0 + POLE_MASS;
/// Half the pole's length, m.
const HALF_LENGTH: f32 = 0.5;
const FORCE: f32 = 10.0;
/// Seconds of a step.
const TAU: f32 = 0.02;
/// The pole has fallen past this angle, 12°.
const FALLEN: f32 = 12.0 * std::f32::consts::PI / 180.0;
/// The cart has left the track past this position, m.
const TRACK: f32 = 2.4;
/// An episode that lasts as long as this ends well.
const LONGEST: u32 = 500;

/// Cart-poles and what their last step brought.
pub struct CartPoles {
    /// Position, speed, angle and angular speed of each.
    pub states: Vec<f32>,
    pub rewards: Vec<f32>,
    /// 1 where an episode has ended.
    pub ended: Vec<u8>,
    /// Steps of the running episode of each.
    lasted: Vec<u32>,
    chance: u64,
}

impl CartPoles {
    pub fn new(count: usize, seed: u64) -> Self {
        let mut poles = Self {
            states: vec![0.0; 4 * count],
            rewards: vec![0.0; count],
            ended: vec![0; count],
            lasted: vec![0; count],
            chance: seed,
        };
        for at in 0..count {
            poles.reset(at);
        }
        poles
    }

    /// Steps all; gives how long the episodes lasted that have ended.
    pub fn step(&mut self, actions: &[u8]) -> Vec<u32> {
        let mut finished = Vec::new();
        for (at, action) in actions.iter().enumerate() {
            let state = &mut self.states[4 * at..4 * at + 4];
            advance(state, if *action == 1 { FORCE } else { -FORCE });
            self.lasted[at] += 1;
            let failed = state[0].abs() > TRACK || state[2].abs() > FALLEN;
            self.rewards[at] = 1.0;
            self.ended[at] = u8::from(failed || self.lasted[at] == LONGEST);
            if self.ended[at] == 1 {
                finished.push(self.lasted[at]);
                self.reset(at);
            }
        }
        finished
    }

    fn reset(&mut self, at: usize) {
        self.lasted[at] = 0;
        for place in 4 * at..4 * at + 4 {
            self.states[place] = self.uniform() * 0.1 - 0.05;
        }
    }

    /// From 0 to 1: `SplitMix64` of Steele, Lea and Flood (2014), "Fast splittable pseudorandom number generators".
    fn uniform(&mut self) -> f32 {
        self.chance = self.chance.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.chance;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ mixed >> 31) >> 40) as f32 / (1_u64 << 24) as f32
    }
}

/// One Euler step under so many newtons.
fn advance(state: &mut [f32], force: f32) {
    let [_, x_dot, theta, theta_dot] = *state else { return };
    let (sin, cos) = theta.sin_cos();
    let common = (force + POLE_MASS * HALF_LENGTH * theta_dot * theta_dot * sin) / TOTAL_MASS;
    let theta_acc =
        (GRAVITY * sin - cos * common) / (HALF_LENGTH * (4.0 / 3.0 - POLE_MASS * cos * cos / TOTAL_MASS));
    let x_acc = common - POLE_MASS * HALF_LENGTH * theta_acc * cos / TOTAL_MASS;
    for (value, rate) in state.iter_mut().zip([x_dot, x_acc, theta_dot, theta_acc]) {
        *value += TAU * rate;
    }
}
