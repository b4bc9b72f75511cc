// The loss of a micro-batch of compared or judged completions, and the weights of its tokens'
// losses in the gradient. bindings.Preference and bindings.PreferenceLoss have the formulas.
//
// One block: a micro-batch has a few dozen completions and a few thousand tokens, 12 bytes each.
// Each thread takes pairs (or judged completions) in order, and sums are joined as a tree, so the
// bits depend only on the numbers of completions and tokens. Sorting for the losses of optimal
// transport is by counting, n² comparisons of n pairs.
#include "kernels/entries.h"
#include "kernels/reduce.cuh"
#include "runtime/launch.h"

namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;
// The sums: of z, of the loss, of the fit, then the stats of chosen and of rejected completions.
enum {
  kZ,
  kLoss,
  kFit,
  kCount,
  kReward = kCount + 2,
  kP = kReward + 2,
  kRight = kP + 2,
  kOdds,
  kRatio,
  kSums
};
constexpr int kShared = kSums * kWarps * sizeof(float);

struct Compared {
  int losses_of[QLORA_MAX_TERMS];
  float weights_of[QLORA_MAX_TERMS];
  int terms;
  float beta, smoothing, margin, temperature, alpha, weight[2], scale;  // weight: un-, desirable
  const float *log_probs, *reference, *lengths, *desirable, *kl, *kl_reference;
  const float *losses, *share, *fit;
  float *slopes, *weights, *stats;
  const int32_t* starts;
  int sequences, others, tokens;
};

// A loss and its derivatives by the chosen and the rejected completion's value.
struct Slope {
  float loss, c, r;
};

__device__ __forceinline__ float sigmoid(float x) { return 1 / (1 + expf(-x)); }
__device__ __forceinline__ float sigmoid_slope(float x) { return sigmoid(x) * sigmoid(-x); }
__device__ __forceinline__ float log_sigmoid(float x) {
  return fminf(x, 0) - log1pf(expf(-fabsf(x)));
}
__device__ __forceinline__ float log_odds(float a) { return a - logf(-expm1f(a)); }

// The log-probability, or with alpha its transform, and what it is relative to the reference.
__device__ __forceinline__ float value(const Compared& e, int s) {
  const float p = e.log_probs[s];
  return e.alpha != 0 ? -expm1f(-e.alpha * p) / e.alpha : p;
}
__device__ __forceinline__ float ratio(const Compared& e, int s) {
  return value(e, s) - (e.reference ? e.reference[s] : 0);
}

// -ln sigmoid(x) with smoothing, and its derivative in c.
__device__ __forceinline__ Slope logistic(const Compared& e, float x) {
  const float s = e.smoothing;
  return {-(1 - s) * log_sigmoid(x) - s * log_sigmoid(-x), -(1 - s) * sigmoid(-x) + s * sigmoid(x),
          0};
}

// The same without smoothing.
__device__ __forceinline__ Slope sharp(float x) { return {-log_sigmoid(x), -sigmoid(-x), 0}; }

// A slope by x = scale·(c/nc - r/nr).
__device__ __forceinline__ Slope by(Slope v, float scale, float nc, float nr) {
  return {v.loss, v.c * scale / nc, -v.c * scale / nr};
}

__device__ Slope pair(const Compared& e, int loss, float c, float r, float nc, float nr) {
  const float beta = e.beta, s = e.smoothing, x = beta * (c - r);
  switch (loss) {
    case QLORA_LOSS_SIGMOID:
      return by(sharp(x - e.margin), beta, 1, 1);
    case QLORA_LOSS_SMOOTHED:
      return by(logistic(e, x - e.margin), beta, 1, 1);
    case QLORA_LOSS_NORM:
      return by(sharp(beta * (c / nc - r / nr) - e.margin), beta, nc, nr);
    case QLORA_LOSS_HINGE:
      return x >= 1 ? Slope{0, 0, 0} : Slope{1 - x, -beta, beta};
    case QLORA_LOSS_IPO: {
      const float d = c / nc - r / nr - 1 / (2 * beta);
      return by({d * d, 2 * d, 0}, 1, nc, nr);
    }
    case QLORA_LOSS_ROBUST: {
      const float all = 1 - 2 * s;
      return by({(-(1 - s) * log_sigmoid(x) + s * log_sigmoid(-x)) / all,
                 (-(1 - s) * sigmoid(-x) - s * sigmoid(x)) / all, 0},
                beta, 1, 1);
    }
    case QLORA_LOSS_EXO: {
      const float q = sigmoid(x), right = log1pf(-s), wrong = logf(s);
      return by({q * (log_sigmoid(x) - right) + (1 - q) * (log_sigmoid(-x) - wrong),
                 sigmoid_slope(x) * (x - right + wrong), 0},
                beta, 1, 1);
    }
    case QLORA_LOSS_NCA:
      return {-log_sigmoid(beta * c) - log_sigmoid(-beta * c) / 2 - log_sigmoid(-beta * r) / 2,
              beta * (sigmoid(beta * c) / 2 - sigmoid(-beta * c)), beta * sigmoid(beta * r) / 2};
    case QLORA_LOSS_BCO:
      return {-log_sigmoid(beta * c) - log_sigmoid(-beta * r), -beta * sigmoid(-beta * c),
              beta * sigmoid(beta * r)};
    case QLORA_LOSS_SPPO: {
      const float a = c - 1 / (2 * beta), b = r + 1 / (2 * beta);
      return {a * a + b * b, 2 * a, 2 * b};
    }
    case QLORA_LOSS_APO_ZERO:
      return {sigmoid(-beta * c) + sigmoid(beta * r), -beta * sigmoid_slope(beta * c),
              beta * sigmoid_slope(beta * r)};
    case QLORA_LOSS_APO_DOWN: {
      const float d = beta * sigmoid_slope(x);
      return {sigmoid(beta * c) + sigmoid(-x), beta * sigmoid_slope(beta * c) - d, d};
    }
    case QLORA_LOSS_DISCOPOP: {
      const float t = e.temperature, m = sigmoid(x / t), dm = sigmoid_slope(x / t) / t;
      const float power = expf(-x);
      return by({-log_sigmoid(x) * (1 - m) + power * m,
                 -sigmoid(-x) * (1 - m) + log_sigmoid(x) * dm - power * m + power * dm, 0},
                beta, 1, 1);
    }
    case QLORA_LOSS_ODDS: {
      const float o = log_odds(c) - log_odds(r), d = -beta * sigmoid(-o);
      return {-beta * log_sigmoid(o), d / -expm1f(c), -d / -expm1f(r)};
    }
  }
  return {NAN, NAN, NAN};
}

// The lists that optimal transport sorts: x of pair i, and y.
__device__ __forceinline__ float x_of(const Compared& e, bool unpaired, int i) {
  return unpaired ? ratio(e, 2 * i) : value(e, 2 * i) - value(e, 2 * i + 1);
}
__device__ __forceinline__ float y_of(const Compared& e, bool unpaired, int i) {
  if (unpaired) return ratio(e, 2 * i + 1);
  return e.reference ? e.reference[2 * i] - e.reference[2 * i + 1] : 0;
}

// The number of elements before element i in the order of a stable sort.
template <typename Of>
__device__ int rank_of(int i, int n, Of of) {
  const float v = of(i);
  int rank = 0;
  for (int j = 0; j < n; j++) {
    const float other = of(j);
    rank += other < v || (other == v && j < i) ? 1 : 0;
  }
  return rank;
}

// Adds the slopes of pair i in a loss of optimal transport, and returns its loss. A thread adds
// only to the slopes of its own pair: of x at i, and of y at i, whose partners it looks up.
__device__ float transport(const Compared& e, bool unpaired, int i, int n, float weight) {
  auto x = [&](int k) { return x_of(e, unpaired, k); };
  auto y = [&](int k) { return y_of(e, unpaired, k); };
  const int place = rank_of(i, n, x);
  int partner = 0;
  while (partner < n && rank_of(partner, n, y) != place) partner++;
  partner = min(partner, n - 1);  // of a NaN
  Slope v = logistic(e, e.beta * (x(i) - y(partner)));
  e.slopes[2 * i] += weight * e.beta * v.c;
  if (!unpaired) {
    e.slopes[2 * i + 1] -= weight * e.beta * v.c;
    return weight * v.loss;
  }
  const int mine = rank_of(i, n, y);
  int of = 0;
  while (of < n && rank_of(of, n, x) != mine) of++;
  of = min(of, n - 1);
  Slope own = logistic(e, e.beta * (x(of) - y(i)));
  e.slopes[2 * i + 1] -= weight * e.beta * own.c;
  return weight * v.loss;
}

__global__ void __launch_bounds__(kThreads) compare_completions(Compared e) {
  float* shared = shared_memory<float>();
  auto sum = [&](float x, int which) { return block_sum<kWarps>(x, shared + which * kWarps); };
  const int thread = static_cast<int>(threadIdx.x), pairs = e.sequences / 2;

  float z = 0;
  for (int i = thread; i < e.others; i += kThreads) z += e.kl[i] - e.kl_reference[i];
  z = e.others > 0 ? fmaxf(0, sum(z, kZ) / static_cast<float>(e.others)) : 0;

  float loss = 0;
  float count[2] = {}, reward[2] = {}, p[2] = {};  // of chosen and of rejected completions
  float right = 0, odds = 0, odds_ratio = 0;
  auto add = [&](int kind, int s) {
    count[kind] += 1;
    reward[kind] += e.beta * ratio(e, s);
    p[kind] += e.log_probs[s];
  };
  if (e.desirable) {
    for (int s = thread; s < e.sequences; s += kThreads) {
      const bool good = e.desirable[s] != 0;
      float slope = 0;
      for (int k = 0; k < e.terms; k++) {
        const float weight =
            e.weights_of[k] * e.weight[good ? 1 : 0] / static_cast<float>(e.sequences);
        const float sign = good ? 1.0f : -1.0f, from = e.losses_of[k] == QLORA_LOSS_KTO ? z : 0;
        const float x = sign * e.beta * (ratio(e, s) - from);
        loss += weight * sigmoid(-x);
        slope -= weight * sign * e.beta * sigmoid_slope(x);
      }
      e.slopes[s] = slope;
      add(good ? 0 : 1, s);
    }
  } else {
    for (int i = thread; i < pairs; i += kThreads) {
      const int s = 2 * i;
      e.slopes[s] = e.slopes[s + 1] = 0;
      const float c = ratio(e, s), r = ratio(e, s + 1);
      for (int k = 0; k < e.terms; k++) {
        const int which = e.losses_of[k];
        const float weight = e.weights_of[k] / static_cast<float>(pairs);
        if (which == QLORA_LOSS_AOT || which == QLORA_LOSS_AOT_UNPAIRED) {
          loss += transport(e, which == QLORA_LOSS_AOT_UNPAIRED, i, pairs, weight);
          continue;
        }
        const Slope v = pair(e, which, c, r, e.lengths[s], e.lengths[s + 1]);
        loss += weight * v.loss;
        e.slopes[s] += weight * v.c;
        e.slopes[s + 1] += weight * v.r;
        if (which == QLORA_LOSS_ODDS) {
          const float o = log_odds(value(e, s)) - log_odds(value(e, s + 1));
          odds += o;
          odds_ratio += log_sigmoid(o);
        }
      }
      right += c > r ? 1.0f : 0.0f;
      add(0, s);
      add(1, s + 1);
    }
  }
  if (e.alpha != 0) {  // from the slopes of the transforms; each thread's own
    for (int i = thread; i < (e.desirable ? e.sequences : pairs); i += kThreads) {
      for (int s = e.desirable ? i : 2 * i; s <= (e.desirable ? i : 2 * i + 1); s++) {
        e.slopes[s] *= expf(-e.alpha * e.log_probs[s]);
      }
    }
  }

  float fit = 0;
  if (e.fit) {
    for (int t = thread; t < e.tokens; t += kThreads) fit += e.fit[t] * e.losses[t];
  }
  loss = sum(loss, kLoss);  // its barrier shows the slopes to all threads
  fit = sum(fit, kFit);
  for (int kind = 0; kind < 2; kind++) {
    count[kind] = sum(count[kind], kCount + kind);
    reward[kind] = sum(reward[kind], kReward + kind);
    p[kind] = sum(p[kind], kP + kind);
  }
  right = sum(right, kRight);
  odds = sum(odds, kOdds);
  odds_ratio = sum(odds_ratio, kRatio);

  if (e.weights) {
    for (int s = 0; s < e.sequences; s++) {
      const float slope = e.slopes[s];
      const int end = e.starts[s + 1];
      for (int t = e.starts[s] + thread; t < end; t += kThreads) {
        e.weights[t] = e.scale * ((e.fit ? e.fit[t] : 0) - e.share[t] * slope);
      }
    }
  }
  if (thread != 0) return;
  e.stats[QLORA_STAT_LOSS] += e.scale * (loss + fit);
  e.stats[QLORA_STAT_FIT] += fit;
  e.stats[QLORA_STAT_KL] += z;
  e.stats[QLORA_STAT_BATCHES] += 1;
  if (count[0] > 0) {
    e.stats[QLORA_STAT_CHOSEN_REWARD] += reward[0] / count[0];
    e.stats[QLORA_STAT_CHOSEN_LOG_PROB] += p[0] / count[0];
    e.stats[QLORA_STAT_CHOSEN] += 1;
  }
  if (count[1] > 0) {
    e.stats[QLORA_STAT_REJECTED_REWARD] += reward[1] / count[1];
    e.stats[QLORA_STAT_REJECTED_LOG_PROB] += p[1] / count[1];
    e.stats[QLORA_STAT_REJECTED] += 1;
  }
  if (count[0] > 0 && count[1] > 0) {
    e.stats[QLORA_STAT_MARGIN] += reward[0] / count[0] - reward[1] / count[1];
    e.stats[QLORA_STAT_BOTH] += 1;
  }
  if (!e.desirable && pairs > 0) {
    e.stats[QLORA_STAT_ACCURACY] += right / static_cast<float>(pairs);
    e.stats[QLORA_STAT_LOG_ODDS] += odds / static_cast<float>(pairs);
    e.stats[QLORA_STAT_LOG_ODDS_RATIO] += odds_ratio / static_cast<float>(pairs);
  }
}
REGISTER_KERNEL(compare_completions, kThreads, kShared);

const float* floats(const qlora_tensor& t) { return static_cast<const float*>(t.data); }

}  // namespace

int preference(qlora_context* c, const qlora_preference* op) {
  Compared e{};
  for (int i = 0; i < op->terms; i++) {
    e.losses_of[i] = op->losses_of[i];
    e.weights_of[i] = op->weights_of[i];
  }
  e.terms = op->terms;
  e.beta = op->beta;
  e.smoothing = op->smoothing;
  e.margin = op->margin;
  e.temperature = op->temperature;
  e.alpha = op->alpha;
  e.weight[0] = op->undesirable_weight;
  e.weight[1] = op->desirable_weight;
  e.scale = op->scale;
  e.log_probs = floats(op->log_probs);
  e.reference = floats(op->reference);
  e.lengths = floats(op->lengths);
  e.desirable = floats(op->desirable);
  e.kl = floats(op->kl);
  e.kl_reference = floats(op->kl_reference);
  e.losses = floats(op->losses);
  e.share = floats(op->share);
  e.fit = floats(op->fit);
  e.slopes = static_cast<float*>(op->slopes.data);
  e.weights = static_cast<float*>(op->weights.data);
  e.stats = static_cast<float*>(op->stats.data);
  e.starts = static_cast<const int32_t*>(op->starts.data);
  e.sequences = static_cast<int>(op->log_probs.rows * op->log_probs.cols);
  e.others = static_cast<int>(op->kl.rows * op->kl.cols);
  e.tokens = static_cast<int>(op->losses.rows * op->losses.cols);
  return launch(c, "compare_completions", compare_completions, dim3(1), dim3(kThreads), kShared, e);
}
