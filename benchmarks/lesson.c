/* The lesson's job in C: a simple RNN (ReLU) learns whether the two halves of a sequence of digits are equal.
 *
 * One core, one sequence per iteration: draw, forward, softmax and cross-entropy, backpropagation through time, Adam.
 * Rows are padded from D = 50 to P = 64 numbers so that every inner loop has whole vectors; the padding stays zero.
 *
 *     lesson ITERATIONS         draws sequences and weights; prints seconds, mean loss, accuracy (last tenth)
 *     lesson ITERATIONS FILE    reads weights and sequences from FILE; prints the loss of every iteration
 *
 * FILE: float32 W_xh (C, D), b_h (D), W_hh (D, D), W_hy (K, D), b_y (K); then for every iteration int32 T, label and
 * TMAX tokens.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { C = 10, D = 50, K = 2, P = 64, TMAX = 20 };

#define ALIGNED __attribute__((aligned(64)))

typedef struct {
    float x2h[C][P], bias_h[P], h2h[D][P], h2y[K][P], bias_y[16];
} Network;

typedef struct {
    int length, label, tokens[TMAX];
} Sequence;

enum { SIZE = sizeof(Network) / sizeof(float) };

static Network net ALIGNED, grad ALIGNED;
static float moment[SIZE] ALIGNED, square[SIZE] ALIGNED;
static float h2h_transposed[D][P] ALIGNED;
static float h[TMAX + 1][P] ALIGNED, dz[TMAX + 1][P] ALIGNED; /* h[0] is the zero state before the first step */

/* ---- drawing: xorshift128+ ---- */

static uint64_t state[2] = {1, 2};

static inline uint64_t random_bits(void) {
    uint64_t a = state[0], b = state[1];
    state[0] = b;
    a ^= a << 23;
    state[1] = a ^ b ^ (a >> 17) ^ (b >> 26);
    return state[1] + b;
}

static inline int random_below(int n) { return (int)(((random_bits() >> 32) * (uint64_t)n) >> 32); }

static float random_normal(void) { /* the sum of twelve uniform numbers is close enough */
    float sum = 0;
    for (int i = 0; i < 12; i++) sum += (random_bits() >> 40) / 16777216.0f;
    return sum - 6;
}

static inline void draw(Sequence *s) {
    int half = 1 + random_below(TMAX / 2);
    s->length = 2 * half;
    for (int i = 0; i < half; i++) s->tokens[i] = random_below(C);
    s->label = (int)(random_bits() >> 63);
    if (s->label) {
        for (int i = 0; i < half; i++) s->tokens[half + i] = s->tokens[i];
        return;
    }
    for (int same = 1; same;) /* a second half that matches by chance is drawn again */
        for (int i = 0; i < half; i++) {
            s->tokens[half + i] = random_below(C);
            if (s->tokens[half + i] != s->tokens[i]) same = 0;
        }
}

/* ---- one iteration ---- */

static inline void forward(const Sequence *s) {
    for (int t = 0; t < s->length; t++) {
        float z[P] ALIGNED;
        for (int j = 0; j < P; j++) z[j] = net.x2h[s->tokens[t]][j] + net.bias_h[j];
        if (t)
            for (int i = 0; i < D; i++) {
                float a = h[t][i];
                for (int j = 0; j < P; j++) z[j] += a * net.h2h[i][j];
            }
        for (int j = 0; j < P; j++) h[t + 1][j] = z[j] > 0 ? z[j] : 0;
    }
}

/* Return the loss; dy is its gradient with respect to the logits, *right whether the larger logit is the label's. */
static inline float loss_and_gradient(const Sequence *s, float dy[K], int *right) {
    float y[K];
    for (int k = 0; k < K; k++) {
        float z = net.bias_y[k];
        for (int j = 0; j < P; j++) z += h[s->length][j] * net.h2y[k][j];
        y[k] = z;
    }
    float top = y[0] > y[1] ? y[0] : y[1];
    float e0 = expf(y[0] - top), e1 = expf(y[1] - top), sum = e0 + e1;
    dy[0] = e0 / sum - (s->label == 0);
    dy[1] = e1 / sum - (s->label == 1);
    *right = (y[1] > y[0]) == s->label;
    return logf(sum) + top - y[s->label];
}

static inline void backward(const Sequence *s, const float dy[K]) {
    int T = s->length;
    float dh[P] ALIGNED;
    memset(grad.x2h, 0, sizeof grad.x2h);
    memset(grad.bias_h, 0, sizeof grad.bias_h);
    for (int j = 0; j < P; j++) dh[j] = dy[0] * net.h2y[0][j] + dy[1] * net.h2y[1][j];
    for (int k = 0; k < K; k++) {
        grad.bias_y[k] = dy[k];
        for (int j = 0; j < P; j++) grad.h2y[k][j] = dy[k] * h[T][j];
    }
    for (int i = 0; i < D; i++)
        for (int j = 0; j < D; j++) h2h_transposed[j][i] = net.h2h[i][j];
    for (int t = T - 1; t >= 0; t--) {
        for (int j = 0; j < P; j++) {
            dz[t][j] = h[t + 1][j] > 0 ? dh[j] : 0;
            grad.x2h[s->tokens[t]][j] += dz[t][j];
            grad.bias_h[j] += dz[t][j];
        }
        if (t) {
            for (int j = 0; j < P; j++) dh[j] = 0;
            for (int i = 0; i < D; i++) {
                float a = dz[t][i];
                for (int j = 0; j < P; j++) dh[j] += a * h2h_transposed[i][j];
            }
        }
    }
    for (int i = 0; i < D; i++) { /* one product after the loop: a row stays in registers over all steps */
        float row[P] ALIGNED;
        for (int j = 0; j < P; j++) row[j] = 0;
        for (int t = 1; t < T; t++) {
            float a = h[t][i];
            for (int j = 0; j < P; j++) row[j] += a * dz[t][j];
        }
        for (int j = 0; j < P; j++) grad.h2h[i][j] = row[j];
    }
}

static inline void adam(double power1, double power2) {
    float *w = (float *)&net, *g = (float *)&grad;
    float rate = (float)(1e-3 / (1 - power1)), scale = (float)(1 / (1 - power2));
    for (int i = 0; i < SIZE; i++) {
        moment[i] = .9f * moment[i] + .1f * g[i];
        square[i] = .999f * square[i] + .001f * g[i] * g[i];
        w[i] -= rate * moment[i] / (sqrtf(square[i] * scale) + 1e-8f);
    }
}

/* ---- the program ---- */

static void initialize(void) { /* Glorot normal */
    for (int i = 0; i < C; i++)
        for (int j = 0; j < D; j++) net.x2h[i][j] = random_normal() * sqrtf(2.0f / (C + D));
    for (int i = 0; i < D; i++)
        for (int j = 0; j < D; j++) net.h2h[i][j] = random_normal() * sqrtf(2.0f / (D + D));
    for (int k = 0; k < K; k++)
        for (int j = 0; j < D; j++) net.h2y[k][j] = random_normal() * sqrtf(2.0f / (D + K));
}

static void read_rows(FILE *file, float *rows, int count, int width) {
    for (int i = 0; i < count; i++)
        if (fread(rows + i * P, sizeof(float), width, file) != (size_t)width) exit(3);
}

static FILE *open_replay(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) exit(3);
    read_rows(file, &net.x2h[0][0], C, D);
    read_rows(file, net.bias_h, 1, D);
    read_rows(file, &net.h2h[0][0], D, D);
    read_rows(file, &net.h2y[0][0], K, D);
    read_rows(file, net.bias_y, 1, K);
    return file;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(int count, char **arguments) {
    if (count < 2) return 2;
    int iterations = atoi(arguments[1]), tail = iterations < 10 ? 1 : iterations / 10, correct = 0;
    FILE *replay = count > 2 ? open_replay(arguments[2]) : NULL;
    if (!replay) initialize();
    double power1 = 1, power2 = 1, total = 0, begin = now();
    for (int iteration = 0; iteration < iterations; iteration++) {
        Sequence s;
        float dy[K];
        int right;
        if (!replay)
            draw(&s);
        else if (fread(&s, sizeof s, 1, replay) != 1)
            return 3;
        forward(&s);
        float loss = loss_and_gradient(&s, dy, &right);
        if (replay) printf("%.9g\n", loss);
        if (iteration >= iterations - tail) {
            total += loss;
            correct += right;
        }
        backward(&s, dy);
        power1 *= .9;
        power2 *= .999;
        adam(power1, power2);
    }
    if (!replay) printf("%.9f %.6f %.6f\n", now() - begin, total / tail, (double)correct / tail);
    return 0;
}
