// The quantile critics' head and the quantile-Huber loss on one core, in float32, with their gradients.
//
//   q[b, n] = Σ_h head[h] · relu(bias[h] + Σ_k enc[b, k] · relu(frac[n, k]) · weight[k, h])        (for each member)
//
// Fraction by fraction, so that nothing of B·N rows is kept but one bit for each hidden unit: whether it was active.
// Features that are zero after the ReLU, about half of a fraction's, are left out of every product. Rows of the batch
// lie in the vector's lanes; every sum runs in one order whatever the vector's width, so that variants differ only by
// where the compiler fuses a product with a sum.
//
// Translated once for each instruction set (`build.py`): WIDTH floats a vector, ROWS rows of accumulators. Vectors are
// those of GCC and Clang; there is nothing else that is not standard C++17.
#include <cstdint>
#include <cstdlib>
#include <cstring>

#ifndef WIDTH
#define WIDTH 4
#define ROWS 4
#endif
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

namespace {

using i64 = std::int64_t;
using u32 = std::uint32_t;
constexpr int W = WIDTH;      // floats in a vector
constexpr int R = ROWS;       // rows of a tile of accumulators …
constexpr int V = 2;          // … and vectors in each
constexpr int P = V * W;      // columns of a tile: a panel
constexpr int GROUP = 32;     // hidden units whose activity shares a word; rows are padded to a multiple of it
constexpr int LANES = 16;     // partial sums of a reduction, whatever the width
static_assert(GROUP % P == 0 && LANES % W == 0, "a panel lies within a group, a vector within the lanes");

typedef float vf __attribute__((vector_size(4 * W), may_alias));
typedef u32 vu __attribute__((vector_size(4 * W), may_alias));
typedef float loose __attribute__((vector_size(4 * W), aligned(4), may_alias));

inline vf splat(float x) { return x - vf{}; }
inline vu splat(u32 x) { return x - vu{}; }
inline vf load(const float* p) { return *(const vf*)p; }
inline vu load(const u32* p) { return *(const vu*)p; }
inline vf look(const float* p) { return *(const loose*)p; }  // at any address
inline void store(float* p, vf x) { *(vf*)p = x; }
inline vf where(vu bits, vf x) { return (vf)((vu)(bits != vu{}) & (vu)x); }
inline i64 up(i64 n, i64 to) { return (n + to - 1) / to * to; }

// Memory for one call: one block, handed out in aligned pieces of zeros.
class Arena {
    char* block;
    std::size_t used = 0;

public:
    explicit Arena(std::size_t floats) : block((char*)std::aligned_alloc(64, up(floats * 4, 64))) {}
    ~Arena() { std::free(block); }
    bool failed() const { return !block; }
    template <class T> T* take(i64 n) {
        char* p = block + used;
        used += size(n) * 4;
        std::memset(p, 0, size(n) * 4);
        return (T*)p;
    }
    static std::size_t size(i64 n) { return up(n * 4, 64) / 4; }
};

// dst[j][i] = src[i][j], in blocks that fit a cache line.
void transpose(const float* src, i64 rows, i64 columns, i64 from, float* dst, i64 to) {
    for (i64 i0 = 0; i0 < rows; i0 += 16)
        for (i64 j0 = 0; j0 < columns; j0 += 16) {
            const i64 i1 = i0 + 16 < rows ? i0 + 16 : rows, j1 = j0 + 16 < columns ? j0 + 16 : columns;
            for (i64 j = j0; j < j1; j++)
                for (i64 i = i0; i < i1; i++) dst[j * to + i] = src[i * from + j];
        }
}

struct Sizes {
    i64 M, B, N, K, H;
    i64 rows() const { return up(B, GROUP); }
    i64 hidden() const { return up(H, GROUP); }
    i64 words() const { return hidden() / GROUP * rows(); }  // of one fraction
};

// The features of a fraction that are not zero after the ReLU, and their number; a NaN is one of them.
i64 active(const float* fraction, i64 K, i64* which) {
    i64 n = 0;
    for (i64 k = 0; k < K; k++) {
        which[n] = k;
        n += !(fraction[k] <= 0);
    }
    return n;
}

// c[r] = Σ_j rows[r][j] · panel[j], the panel's columns in the lanes.
template <int Q> inline void multiply(const float* const* rows, const float* panel, i64 n, vf (&c)[Q][V]) {
    const float* a[Q];
    UNROLL for (int r = 0; r < Q; r++) {
        a[r] = rows[r];
        UNROLL for (int v = 0; v < V; v++) c[r][v] = vf{};
    }
    for (i64 j = 0; j < n; j++) {
        vf b[V];
        UNROLL for (int v = 0; v < V; v++) b[v] = load(panel + j * P + v * W);
        UNROLL for (int r = 0; r < Q; r++) {
            const vf x = splat(a[r][j]);
            UNROLL for (int v = 0; v < V; v++) c[r][v] += x * b[v];
        }
    }
}

// -- forward ----------------------------------------------------------------------------------------------------------

void forward_member(Sizes s, const float* enc, const float* frac, const float* weight, const float* bias,
                    const float* head, float* q, u32* mask, Arena& arena) {
    const i64 rows = s.rows(), tiles = up(s.H, R) / R;
    float* encT = arena.take<float>(s.K * rows);        // features × rows
    float* scaled = arena.take<float>(s.K * rows);      // panels × active features × P, times the fraction's
    float* packed = arena.take<float>(tiles * s.K * R);  // tiles × features × R
    float* edge = arena.take<float>(2 * tiles * R);      // bias and head, padded
    i64* which = arena.take<i64>(2 * (s.K + 1));
    transpose(enc, s.B, s.K, s.K, encT, rows);
    for (i64 t = 0; t < tiles; t++)
        for (i64 k = 0; k < s.K; k++)
            for (i64 r = 0; r < R && t * R + r < s.H; r++) packed[(t * s.K + k) * R + r] = weight[k * s.H + t * R + r];
    float *biases = edge, *heads = edge + tiles * R;
    std::memcpy(biases, bias, s.H * 4);
    std::memcpy(heads, head, s.H * 4);

    for (i64 n = 0; n < s.N; n++, frac += s.K) {
        const i64 count = active(frac, s.K, which);
        for (i64 p = 0; p < rows / P; p++)
            for (i64 i = 0; i < count; i++)
                for (int v = 0; v < V; v++)
                    store(scaled + (p * count + i) * P + v * W,
                          splat(frac[which[i]]) * load(encT + which[i] * rows + p * P + v * W));
        u32* words = mask ? mask + n * s.words() : nullptr;
        if (words) std::memset(words, 0, s.words() * 4);
        for (i64 p = 0; p * P < s.B; p++) {
            vf sum[V] = {};
            for (i64 t = 0; t < tiles; t++) {
                const float *tile = packed + t * s.K * R, *panel = scaled + p * count * P;
                vf c[R][V];
                UNROLL for (int r = 0; r < R; r++)
                    UNROLL for (int v = 0; v < V; v++) c[r][v] = splat(biases[t * R + r]);
                for (i64 i = 0; i < count; i++) {
                    const float* a = tile + which[i] * R;
                    vf b[V];
                    UNROLL for (int v = 0; v < V; v++) b[v] = load(panel + i * P + v * W);
                    UNROLL for (int r = 0; r < R; r++) {
                        const vf x = splat(a[r]);
                        UNROLL for (int v = 0; v < V; v++) c[r][v] += x * b[v];
                    }
                }
                UNROLL for (int r = 0; r < R; r++) {
                    const i64 h = t * R + r;
                    if (h >= s.H) break;
                    const vf weigh = splat(heads[h]);
                    UNROLL for (int v = 0; v < V; v++) {
                        const vf x = vf{} > c[r][v] ? vf{} : c[r][v];  // lets a NaN through
                        sum[v] += weigh * x;
                        if (words) {
                            vu* word = (vu*)(words + h / GROUP * rows + p * P + v * W);
                            *word |= (vu)(x != vf{}) & splat(u32(1) << (h % GROUP));
                        }
                    }
                }
            }
            for (i64 j = 0; j < P && p * P + j < s.B; j++) q[(p * P + j) * s.N + n] = sum[j / W][j % W];
        }
    }
}

// -- backward ---------------------------------------------------------------------------------------------------------

struct Gradients {
    float *enc, *frac, *weight, *bias, *head;  // null where not asked for: enc and frac, and the other three together
};

struct Backward {
    Sizes s;
    i64 rows, hidden;
    const float *encT, *folded, *zeros;  // features × rows; weight · head; a row of zeros
    float *encT_gradient, *partial;      // features × rows; features × LANES: a fraction's gradient, in parts
    float *product, *through;            // features × hidden and hidden: gradients of weight and bias, over head
    float *panel;

    // Inputs' gradients of Q features, from the panel of rows p; (hidden units × P) lies in `panel`.
    template <int Q> void inputs(const i64* which, i64 count, i64 p, const float* frac, bool fractions) const {
        const float* from[Q];
        vf c[Q][V];
        UNROLL for (int r = 0; r < Q; r++) from[r] = r < count ? folded + which[r] * s.H : zeros;
        multiply<Q>(from, panel, s.H, c);
        UNROLL for (int r = 0; r < Q; r++) {
            if (r >= count) break;
            const i64 k = which[r];
            UNROLL for (int v = 0; v < V; v++) {
                const i64 at = k * rows + p * P + v * W;
                store(encT_gradient + at, load(encT_gradient + at) + splat(frac[k]) * c[r][v]);
                if (fractions) {
                    float* part = partial + k * LANES + (p * P + v * W) % LANES;
                    store(part, load(part) + c[r][v] * load(encT + at));
                }
            }
        }
    }

    // Weights' gradients of Q features, in the panel of hidden units p; (rows × P) lies in `panel`.
    template <int Q> void weights(const i64* which, i64 count, i64 p, const float* frac) const {
        const float* from[Q];
        vf c[Q][V];
        UNROLL for (int r = 0; r < Q; r++) from[r] = r < count ? encT + which[r] * rows : zeros;
        multiply<Q>(from, panel, s.B, c);
        UNROLL for (int r = 0; r < Q; r++) {
            if (r >= count) break;
            UNROLL for (int v = 0; v < V; v++) {
                float* out = product + which[r] * hidden + p * P + v * W;
                store(out, load(out) + splat(frac[which[r]]) * c[r][v]);
            }
        }
    }

    // One fraction: g (rows), its features, the activity of its hidden units.
    void fraction(const float* g, const float* frac, const u32* words, const i64* which, i64 count, Gradients d) const {
        for (i64 p = 0; (d.enc || d.frac) && p * P < s.B; p++) {
            for (i64 h = 0; h < s.H; h++)
                for (int v = 0; v < V; v++) {
                    const i64 at = p * P + v * W;
                    const vu bits = load(words + h / GROUP * rows + at) & splat(u32(1) << (h % GROUP));
                    store(panel + h * P + v * W, where(bits, load(g + at)));
                }
            for (i64 i = 0; i < count; i += R) {
                if (count - i > R / 2) inputs<R>(which + i, count - i, p, frac, d.frac);
                else inputs<R / 2>(which + i, count - i, p, frac, d.frac);
            }
        }
        for (i64 p = 0; d.weight && p * P < s.H; p++) {
            alignas(64) u32 lanes[P];
            vf sum[V] = {};
            for (int j = 0; j < P; j++) lanes[j] = u32(1) << ((p * P + j) % GROUP);
            const u32* word = words + p * P / GROUP * rows;
            for (i64 b = 0; b < s.B; b++)
                for (int v = 0; v < V; v++) {
                    const vf x = where(splat(word[b]) & load(lanes + v * W), splat(g[b]));
                    store(panel + b * P + v * W, x);
                    sum[v] += x;
                }
            for (int v = 0; v < V; v++) {
                float* out = through + p * P + v * W;
                store(out, load(out) + sum[v]);
            }
            for (i64 i = 0; i < count; i += R) {
                if (count - i > R / 2) weights<R>(which + i, count - i, p, frac);
                else weights<R / 2>(which + i, count - i, p, frac);
            }
        }
    }
};

void backward_member(Sizes s, const float* g, const float* enc, const float* frac, const float* weight,
                     const float* bias, const float* head, const u32* mask, Gradients d, Arena& arena) {
    const i64 rows = s.rows(), hidden = s.hidden(), longest = rows > hidden ? rows : hidden;
    float* encT = arena.take<float>(s.K * rows);
    float* gT = arena.take<float>(s.N * rows);
    float* folded = arena.take<float>(s.K * s.H);
    float* panel = arena.take<float>(longest * P);
    float* gradient = arena.take<float>(s.K * rows);
    float* partial = arena.take<float>(s.K * LANES);
    float* product = arena.take<float>(s.K * hidden);
    float* through = arena.take<float>(hidden);
    float* zeros = arena.take<float>(longest);
    i64* which = arena.take<i64>(2 * (s.K + 1));
    transpose(enc, s.B, s.K, s.K, encT, rows);
    transpose(g, s.B, s.N, s.N, gT, rows);
    for (i64 k = 0; k < s.K; k++)
        for (i64 h = 0; h < s.H; h++) folded[k * s.H + h] = weight[k * s.H + h] * head[h];
    const Backward back{s, rows, hidden, encT, folded, zeros, gradient, partial, product, through, panel};
    for (i64 n = 0; n < s.N; n++) {
        const i64 count = active(frac + n * s.K, s.K, which);
        back.fraction(gT + n * rows, frac + n * s.K, mask + n * s.words(), which, count, d);
        if (!d.frac) continue;
        for (i64 k = 0; k < s.K; k++) {
            float total = 0;
            for (int lane = 0; lane < LANES; lane++) total += partial[k * LANES + lane];
            d.frac[n * s.K + k] = total;
        }
        std::memset(partial, 0, s.K * LANES * 4);
    }
    if (d.enc) transpose(gradient, s.K, s.B, rows, d.enc, s.K);
    if (!d.weight) return;
    // Σ g · active hidden unit follows from the other two: an active unit is Σ_k enc · frac · weight + bias.
    for (i64 h = 0; h < s.H; h++) {
        d.bias[h] = head[h] * through[h];
        d.head[h] = bias[h] * through[h];
    }
    for (i64 k = 0; k < s.K; k++)
        for (i64 h = 0; h < s.H; h++) {
            d.weight[k * s.H + h] = head[h] * product[k * hidden + h];
            d.head[h] += weight[k * s.H + h] * product[k * hidden + h];
        }
}

}  // namespace

// -- what Python calls; arrays are contiguous, results say whether there was memory -----------------------------------

extern "C" {

// The widest vector, in floats, that this processor and its system have instructions for.
int ramac_width() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
        return 16;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 8;
#endif
    return 4;
}

// enc (M, B, K), frac (M, N, K), weight (M, K, H), bias (M, H), head (M, H) -> q (M, B, N); mask (M, N, words) or null.
int ramac_head_forward(const float* enc, const float* frac, const float* weight, const float* bias, const float* head,
                       float* q, u32* mask, i64 M, i64 B, i64 N, i64 K, i64 H) {
    const Sizes s{M, B, N, K, H};
    for (i64 m = 0; m < M; m++) {
        Arena arena(2 * Arena::size(K * s.rows()) + Arena::size((K + 2) * up(H, R)) + Arena::size(2 * up(H, R)) +
                    Arena::size(2 * (K + 1)) * 2 + 64);
        if (arena.failed()) return 1;
        forward_member(s, enc + m * B * K, frac + m * N * K, weight + m * K * H, bias + m * H, head + m * H,
                       q + m * B * N, mask ? mask + m * N * s.words() : nullptr, arena);
    }
    return 0;
}

// The head's gradients for g (M, B, N); enc's, frac's, and the other three's may be null.
int ramac_head_backward(const float* g, const float* enc, const float* frac, const float* weight, const float* bias,
                        const float* head, const u32* mask, float* d_enc, float* d_frac, float* d_weight,
                        float* d_bias, float* d_head, i64 M, i64 B, i64 N, i64 K, i64 H) {
    const Sizes s{M, B, N, K, H};
    const i64 rows = s.rows(), hidden = s.hidden(), longest = rows > hidden ? rows : hidden;
    for (i64 m = 0; m < M; m++) {
        Arena arena(Arena::size(N * rows) + 2 * Arena::size(K * rows) + Arena::size(K * H) + Arena::size(longest * P) +
                    Arena::size(K * LANES) + Arena::size(K * hidden) + Arena::size(hidden) + Arena::size(longest) +
                    Arena::size(2 * (K + 1)));
        if (arena.failed()) return 1;
        const Gradients d{d_enc ? d_enc + m * B * K : nullptr, d_frac ? d_frac + m * N * K : nullptr,
                          d_weight ? d_weight + m * K * H : nullptr, d_bias + m * H, d_head + m * H};
        backward_member(s, g + m * B * N, enc + m * B * K, frac + m * N * K, weight + m * K * H, bias + m * H,
                        head + m * H, mask + m * N * s.words(), d, arena);
    }
    return 0;
}

// Over all pairs: loss (M), the mean over rows of Σ_i mean_j |τ − 1{δ_ij < 0}| · Huber_κ(δ_ij) / κ, δ_ij = target_j −
// predicted_i, and its gradient (M, B, N) by predicted (M, B, N). target (M, B, J); taus (M, N) of the predictions, or
// (M, J) of the targets if `slip`.
int ramac_huber(const float* predicted, const float* target, const float* taus, float* loss, float* gradient, i64 M,
                i64 B, i64 N, i64 J, float kappa, i64 slip) {
    const float share = 1 / (kappa * float(J) * float(B));
    const vf most = splat(kappa), half = splat(0.5f);
    for (i64 m = 0; m < M; m++) {
        const float* tau = taus + m * (slip ? J : N);
        double total = 0;
        for (i64 b = 0; b < B; b++) {
            const float *own = predicted + (m * B + b) * N, *other = target + (m * B + b) * J;
            for (i64 i = 0; i < N; i += W) {
                const i64 here = N - i < W ? N - i : W;
                float edge[2][W] = {};  // the last predictions, where they do not fill a vector
                if (here < W) {
                    std::memcpy(edge[0], own + i, here * 4);
                    if (!slip) std::memcpy(edge[1], tau + i, here * 4);
                }
                const vf x = look(here < W ? edge[0] : own + i);
                vf t = slip ? vf{} : look(here < W ? edge[1] : tau + i), sum{}, slope{};
                for (i64 j = 0; j < J; j++) {
                    if (slip) t = splat(tau[j]);
                    const vf delta = splat(other[j]) - x;
                    const vu below = (vu)(delta < vf{});
                    const vf size = below ? -delta : delta;
                    const vf clipped = size > most ? most : size;
                    const vf weigh = below ? 1 - t : t;
                    sum += weigh * (clipped * (size - half * clipped));
                    slope -= weigh * (below ? -clipped : clipped);
                }
                for (i64 l = 0; l < here; l++) {
                    total += sum[l];
                    gradient[(m * B + b) * N + i + l] = slope[l] * share;
                }
            }
        }
        loss[m] = float(total * share);
    }
    return 0;
}
}
