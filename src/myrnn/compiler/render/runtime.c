/* The functions of exported programs in C. */

/* 1 where a is larger than b. */
static float above(float a, float b) { return a > b ? 1.0f : 0.0f; }

/* 1 where both are equal. */
static float same(float a, float b) { return a == b ? 1.0f : 0.0f; }

/* a where the mask is not 0, otherwise b. */
static float where(float mask, float a, float b) { return mask != 0.0f ? a : b; }

/* The larger number; NaN if one of them is. */
static float maximum(float a, float b) { return b != b ? b : a <= b ? b : a; }

/* The smaller number; NaN if one of them is. */
static float minimum(float a, float b) { return b != b ? b : a >= b ? b : a; }

/* The number, or 0 if it is negative. */
static float relu(float x) { return x < 0.0f ? 0.0f : x; }

/* 1 / (1 + e^-x). */
static float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

/* The hyperbolic tangent, a ratio of polynomials up to where it is 1 in float: much faster than that of most libraries,
   with a relative error below 4e-7. */
static float tanh(float x) {
    const float clipped = x < -9.02f ? -9.02f : x > 9.02f ? 9.02f : x, square = clipped * clipped;
    float numerator = 2.0582433e-05f + square * 1.3317599e-08f, denominator = 0.00032829898f + square * 7.7614192e-07f;
    numerator = 1.0f + square * (0.13379666f + square * (0.0034939724f + square * numerator));
    denominator = 1.0f + square * (0.46712983f + square * (0.02587084f + square * denominator));
    const float found = clipped * numerator / denominator;
    return found < -1.0f ? -1.0f : found > 1.0f ? 1.0f : found;
}

/* log(e^a + e^b). */
static float logaddexp(float a, float b) {
    const float distance = a == b ? 0.0f : fabsf(a - b);
    return (a < b ? b : a) + log1pf(expf(-distance));
}

/* sin(pi x) / (pi x). */
static float sinc(float x) {
    const float angle = x * 3.14159265f;
    return x == 0.0f ? 1.0f : sinf(angle) / angle;
}

/* Writes zeros. */
static void fill(float *out, int count) {
    for (int i = 0; i < count; i++) out[i] = 0.0f;
}

/* out = a */
static void copy(float *out, const float *a, int count) {
    for (int i = 0; i < count; i++) out[i] = a[i];
}

/* out[i][j] = a[i][j], or added to it; `row` and `step` are the distances of rows and of columns. */
static void copy_matrix(
    float *out, int out_row, int out_step, const float *a, int a_row, int a_step, int rows, int columns, int add
) {
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++) {
            float *to = out + i * out_row + j * out_step;
            *to = (add ? *to : 0.0f) + a[i * a_row + j * a_step];
        }
}

/* Zeros, and a one at the token. */
static void one_hot(float *out, int token, int count) {
    for (int i = 0; i < count; i++) out[i] = i == token ? 1.0f : 0.0f;
}

/* Reads the row of a table for a step, given the number of the steps before. */
static void read_table(float *out, const float *table, int line, int done, const float *before, int count) {
    const int row = done + (int)*before;
    for (int i = 0; i < count; i++) out[i] = table[row * line + i];
}

/* out[i] = a[index[i]] */
static void take(float *out, const float *a, const int *index, int count) {
    for (int i = 0; i < count; i++) out[i] = a[index[i]];
}

/* out[index[i]] += a[i], from zero. */
static void put(float *out, const float *a, const int *index, int count, int size) {
    for (int i = 0; i < size; i++) out[i] = 0.0f;
    for (int i = 0; i < count; i++) out[index[i]] += a[i];
}

/* out[index[i]] = a[i] */
static void spread_out(float *out, const float *a, const int *index, int count) {
    for (int i = 0; i < count; i++) out[index[i]] = a[i];
}

/* Repeats (outer, inner) numbers n times along a new middle axis. */
static void repeat(float *out, const float *a, int outer, int n, int inner) {
    for (int i = 0; i < outer; i++)
        for (int j = 0; j < n; j++)
            for (int k = 0; k < inner; k++) out[(i * n + j) * inner + k] = a[i * inner + k];
}

/* The sum over the middle axis of (outer, n, inner) numbers. */
static void sum_axis(float *out, const float *a, int outer, int n, int inner) {
    for (int i = 0; i < outer; i++)
        for (int k = 0; k < inner; k++) {
            float sum = 0.0f;
            for (int j = 0; j < n; j++) sum += a[(i * n + j) * inner + k];
            out[i * inner + k] = sum;
        }
}

/* The logarithm of the softmax over the middle axis of (outer, n, inner) numbers. */
static void log_softmax_axis(float *out, const float *a, int outer, int n, int inner) {
    for (int i = 0; i < outer; i++)
        for (int k = 0; k < inner; k++) {
            const int first = i * n * inner + k;
            float largest = a[first], mass = 0.0f;
            for (int j = 1; j < n; j++) largest = a[first + j * inner] > largest ? a[first + j * inner] : largest;
            for (int j = 0; j < n; j++) mass += expf(a[first + j * inner] - largest);
            const float shift = logf(mass);
            for (int j = 0; j < n; j++) out[first + j * inner] = a[first + j * inner] - largest - shift;
        }
}

/* The softmax over the middle axis of (outer, n, inner) numbers. */
static void softmax_axis(float *out, const float *a, int outer, int n, int inner) {
    log_softmax_axis(out, a, outer, n, inner);
    for (int i = 0; i < outer * n * inner; i++) out[i] = expf(out[i]);
}

/* out = a @ b, or added to it, of several (m, k) and (k, n) numbers; b is stored as (n, k) if it is transposed. */
static void multiply_plain(
    float *out, const float *a, const float *b, int matrices, int m, int k, int n, int transposed, int add
) {
    for (int i = 0; i < matrices * m; i++) {
        const float *matrix = b + i / m * k * n;
        for (int j = 0; j < n; j++) {
            float sum = add ? out[i * n + j] : 0.0f;
            for (int s = 0; s < k; s++) sum += a[i * k + s] * (transposed ? matrix[j * k + s] : matrix[s * n + j]);
            out[i * n + j] = sum;
        }
    }
}

/* out = factor * base + a @ b, of several (m, 1) and (1, n) numbers; each may have its own factor. */
static void add_outer(
    float *out, const float *base, const float *factors, const float *a, const float *b, int matrices, int m, int n,
    int has_several
) {
    for (int i = 0; i < matrices * m; i++) {
        const float *row = b + i / m * n;
        float factor = factors[has_several ? i / m : 0];
        for (int j = 0; j < n; j++) out[i * n + j] = factor * base[i * n + j] + a[i] * row[j];
    }
}

/* out = a @ b, or added to it; the distance of a's rows is a_row, and of its columns a_step. */
static void multiply(
    float *out, int out_row, const float *a, int a_row, int a_step, const float *b, int b_row, int rows, int steps,
    int columns, int add
) {
    for (int i = 0; i < rows; i++, out += out_row, a += a_row) {
        int j = 0;
        /* Four times four sums: compilers keep each four in a register of four numbers. */
        for (; j + 16 <= columns; j += 16) {
            float first[4], second[4], third[4], fourth[4];
            for (int c = 0; c < 4; c++) first[c] = add ? out[j + c] : 0.0f;
            for (int c = 0; c < 4; c++) second[c] = add ? out[j + 4 + c] : 0.0f;
            for (int c = 0; c < 4; c++) third[c] = add ? out[j + 8 + c] : 0.0f;
            for (int c = 0; c < 4; c++) fourth[c] = add ? out[j + 12 + c] : 0.0f;
            for (int s = 0; s < steps; s++) {
                const float left = a[s * a_step];
                const float *const right = b + s * b_row;
                for (int c = 0; c < 4; c++) first[c] += left * right[j + c];
                for (int c = 0; c < 4; c++) second[c] += left * right[j + 4 + c];
                for (int c = 0; c < 4; c++) third[c] += left * right[j + 8 + c];
                for (int c = 0; c < 4; c++) fourth[c] += left * right[j + 12 + c];
            }
            for (int c = 0; c < 4; c++) out[j + c] = first[c];
            for (int c = 0; c < 4; c++) out[j + 4 + c] = second[c];
            for (int c = 0; c < 4; c++) out[j + 8 + c] = third[c];
            for (int c = 0; c < 4; c++) out[j + 12 + c] = fourth[c];
        }
        for (; j < columns; j++) {
            float sum = add ? out[j] : 0.0f;
            for (int s = 0; s < steps; s++) sum += a[s * a_step] * b[s * b_row + j];
            out[j] = sum;
        }
    }
}

/* out[i] += the product of a with row i of b. */
static void add_dots(float *out, const float *a, const float *b, int b_row, int rows, int columns) {
    for (int i = 0; i < rows; i++, b += b_row) {
        float sum[8] = {0.0f};
        int j = 0;
        for (; j + 8 <= columns; j += 8)
            for (int c = 0; c < 8; c++) sum[c] += a[j + c] * b[j + c];
        for (; j < columns; j++) sum[0] += a[j] * b[j];
        out[i] += ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
    }
}

/* Returns the softmax cross-entropy of a row of logits, and writes `share` times its gradient. */
static float cross_entropy(const float *logits, int classes, int label, float *gradient, float share) {
    float largest = logits[0], mass = 0.0f;
    for (int k = 1; k < classes; k++) largest = logits[k] > largest ? logits[k] : largest;
    for (int k = 0; k < classes; k++) {
        gradient[k] = expf(logits[k] - largest);
        mass += gradient[k];
    }
    for (int k = 0; k < classes; k++) gradient[k] *= share / mass;
    gradient[label] -= share;
    return logf(mass) + (largest - logits[label]);
}
