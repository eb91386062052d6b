/* The functions of exported programs in JavaScript. */

/* 1 where a is larger than b. */
function above(a, b) { return a > b ? 1 : 0; }

/* 1 where both are equal. */
function same(a, b) { return a === b ? 1 : 0; }

/* a where the mask is not 0, otherwise b. */
function where(mask, a, b) { return mask !== 0 ? a : b; }

/* The larger number; NaN if one of them is. */
function maximum(a, b) { return b !== b ? b : a <= b ? b : a; }

/* The smaller number; NaN if one of them is. */
function minimum(a, b) { return b !== b ? b : a >= b ? b : a; }

/* The number, or 0 if it is negative. */
function relu(x) { return x < 0 ? 0 : x; }

/* 1 / (1 + e^-x). */
function sigmoid(x) { return 1 / (1 + Math.exp(-x)); }

/* log(e^a + e^b). */
function logaddexp(a, b) {
    const distance = a === b ? 0 : Math.abs(a - b);
    return (a < b ? b : a) + Math.log1p(Math.exp(-distance));
}

/* sin(pi x) / (pi x). */
function sinc(x) {
    const angle = x * Math.PI;
    return x === 0 ? 1 : Math.sin(angle) / angle;
}

/* Writes zeros. */
function fill(out, out_at, count) {
    for (let i = 0; i < count; i++) out[out_at + i] = 0;
}

/* out = a */
function copy(out, out_at, a, a_at, count) {
    for (let i = 0; i < count; i++) out[out_at + i] = a[a_at + i];
}

/* out[i][j] = a[i][j], or added to it; `row` and `step` are the distances of rows and of columns. */
function copy_matrix(out, out_at, out_row, out_step, a, a_at, a_row, a_step, rows, columns, add) {
    for (let i = 0; i < rows; i++)
        for (let j = 0; j < columns; j++) {
            const to = out_at + i * out_row + j * out_step;
            out[to] = (add ? out[to] : 0) + a[a_at + i * a_row + j * a_step];
        }
}

/* Zeros, and a one at the token. */
function one_hot(out, out_at, token, count) {
    for (let i = 0; i < count; i++) out[out_at + i] = i === token ? 1 : 0;
}

/* Reads the row of a table for a step, given the number of the steps before. */
function read_table(out, out_at, table, table_at, line, done, before, before_at, count) {
    const row = done + before[before_at];
    for (let i = 0; i < count; i++) out[out_at + i] = table[table_at + row * line + i];
}

/* out[i] = a[index[i]] */
function take(out, out_at, a, a_at, index, index_at, count) {
    for (let i = 0; i < count; i++) out[out_at + i] = a[a_at + index[index_at + i]];
}

/* out[index[i]] += a[i], from zero. */
function put(out, out_at, a, a_at, index, index_at, count, size) {
    for (let i = 0; i < size; i++) out[out_at + i] = 0;
    for (let i = 0; i < count; i++) out[out_at + index[index_at + i]] += a[a_at + i];
}

/* out[index[i]] = a[i] */
function spread_out(out, out_at, a, a_at, index, index_at, count) {
    for (let i = 0; i < count; i++) out[out_at + index[index_at + i]] = a[a_at + i];
}

/* Repeats (outer, inner) numbers n times along a new middle axis. */
function repeat(out, out_at, a, a_at, outer, n, inner) {
    for (let i = 0; i < outer; i++)
        for (let j = 0; j < n; j++)
            for (let k = 0; k < inner; k++) out[out_at + (i * n + j) * inner + k] = a[a_at + i * inner + k];
}

/* The sum over the middle axis of (outer, n, inner) numbers. */
function sum_axis(out, out_at, a, a_at, outer, n, inner) {
    for (let i = 0; i < outer; i++)
        for (let k = 0; k < inner; k++) {
            let sum = 0;
            for (let j = 0; j < n; j++) sum += a[a_at + (i * n + j) * inner + k];
            out[out_at + i * inner + k] = sum;
        }
}

/* The logarithm of the softmax over the middle axis of (outer, n, inner) numbers. */
function log_softmax_axis(out, out_at, a, a_at, outer, n, inner) {
    for (let i = 0; i < outer; i++)
        for (let k = 0; k < inner; k++) {
            const first = i * n * inner + k;
            let largest = a[a_at + first], mass = 0;
            for (let j = 1; j < n; j++) largest = Math.max(largest, a[a_at + first + j * inner]);
            for (let j = 0; j < n; j++) mass += Math.exp(a[a_at + first + j * inner] - largest);
            const shift = largest + Math.log(mass);
            for (let j = 0; j < n; j++) out[out_at + first + j * inner] = a[a_at + first + j * inner] - shift;
        }
}

/* The softmax over the middle axis of (outer, n, inner) numbers. */
function softmax_axis(out, out_at, a, a_at, outer, n, inner) {
    log_softmax_axis(out, out_at, a, a_at, outer, n, inner);
    for (let i = 0; i < outer * n * inner; i++) out[out_at + i] = Math.exp(out[out_at + i]);
}

/* out = a @ b, or added to it, of several (m, k) and (k, n) numbers; b is stored as (n, k) if it is transposed. */
function multiply_plain(out, out_at, a, a_at, b, b_at, matrices, m, k, n, transposed, add) {
    const row = transposed ? 1 : n, step = transposed ? k : 1;
    for (let i = 0; i < matrices * m; i++) {
        const matrix = b_at + Math.floor(i / m) * k * n;
        for (let j = 0; j < n; j++) {
            let sum = add ? out[out_at + i * n + j] : 0;
            for (let s = 0; s < k; s++) sum += a[a_at + i * k + s] * b[matrix + s * row + j * step];
            out[out_at + i * n + j] = sum;
        }
    }
}

/* out = factor * base + a @ b, of several (m, 1) and (1, n) numbers; each may have its own factor. */
function add_outer(out, out_at, base, base_at, factors, factor_at, a, a_at, b, b_at, matrices, m, n, has_several) {
    for (let i = 0; i < matrices * m; i++) {
        const matrix = Math.floor(i / m), factor = factors[has_several ? factor_at + matrix : factor_at];
        for (let j = 0; j < n; j++) {
            out[out_at + i * n + j] = factor * base[base_at + i * n + j] + a[a_at + i] * b[b_at + matrix * n + j];
        }
    }
}

/* out = a @ b, or added to it; the distance of a's rows is a_row, and of its columns a_step. */
function multiply(out, out_at, out_row, a, a_at, a_row, a_step, b, b_at, b_row, rows, steps, columns, add) {
    for (let i = 0; i < rows; i++) {
        const to = out_at + i * out_row;
        for (let j = 0; j < columns; j++) {
            let sum = add ? out[to + j] : 0;
            for (let s = 0; s < steps; s++) sum += a[a_at + i * a_row + s * a_step] * b[b_at + s * b_row + j];
            out[to + j] = sum;
        }
    }
}

/* out[i] += the product of a with row i of b. */
function add_dots(out, out_at, a, a_at, b, b_at, b_row, rows, columns) {
    for (let i = 0; i < rows; i++) {
        let sum = 0;
        for (let j = 0; j < columns; j++) sum += a[a_at + j] * b[b_at + i * b_row + j];
        out[out_at + i] += sum;
    }
}

/* Returns the softmax cross-entropy of a row of logits, and writes `share` times its gradient. */
function cross_entropy(logits, logits_at, classes, label, gradient, gradient_at, share) {
    let largest = logits[logits_at], mass = 0;
    for (let k = 1; k < classes; k++) largest = logits[logits_at + k] > largest ? logits[logits_at + k] : largest;
    for (let k = 0; k < classes; k++) {
        gradient[gradient_at + k] = Math.exp(logits[logits_at + k] - largest);
        mass += gradient[gradient_at + k];
    }
    for (let k = 0; k < classes; k++) gradient[gradient_at + k] *= share / mass;
    gradient[gradient_at + label] -= share;
    return Math.log(mass) + (largest - logits[logits_at + label]);
}

/* The nearest whole number; ties go to even. */
function rint(x) {
    const whole = Math.round(x);
    return whole - x === 0.5 && whole % 2 !== 0 ? whole - 1 : whole;
}
