/* What the command line client draws of numbers: histograms, curves, rows of bars, charts. */
#include "tests/unit/unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/cli/chart.h"
#include "daemon/cli/histogram.h"
#include "daemon/cli/plot.h"

/* ---- histograms ------------------------------------------------------------------------------ */

static void samples_are_counted_in_bins_of_equal_width(void **state) {
    const double samples[] = {10, 11, 11.9, 12, 15, 19.9, 20};
    struct histogram histogram;
    histogram_of(samples, 7, &histogram);
    assert_true(histogram.from == 10 && histogram.to == 20);
    assert_int_equal(histogram.bins, 6); /* twice the root of seven, rounded up */
    const int counts[] = {2, 2, 0, 1, 0, 2};
    for (int i = 0; i < 6; i++)
        assert_int_equal(histogram.counts[i], counts[i]);
    assert_int_equal(histogram.above, 0);
}

static void few_outliers_leave_the_others_readable(void **state) {
    double samples[50];
    struct histogram histogram;
    for (int i = 0; i < 50; i++)
        samples[i] = 100 + i % 10;
    samples[7] = 4000;
    samples[23] = 900;
    histogram_of(samples, 50, &histogram);
    assert_true(histogram.from == 100 && histogram.to == 109);
    assert_int_equal(histogram.above, 2);
    int sum = 0;
    for (int i = 0; i < histogram.bins; i++)
        sum += histogram.counts[i];
    assert_int_equal(sum, 48);
    for (int i = 0; i < 10; i++)
        samples[5 * i] = 4000 + i; /* a fifth: no outliers any more */
    histogram_of(samples, 50, &histogram);
    assert_true(histogram.to == 4009);
    assert_int_equal(histogram.above, 0);
}

static void equal_samples_are_one_bin(void **state) {
    const double samples[] = {3, 3, 3};
    struct histogram histogram;
    histogram_of(samples, 3, &histogram);
    assert_int_equal(histogram.bins, 1);
    assert_int_equal(histogram.counts[0], 3);
}

static void a_bar_is_as_long_as_its_share(void **state) {
    char text[HISTOGRAM_TEXT];
    histogram_bar(5, 5, false, text);
    assert_int_equal(strlen(text), HISTOGRAM_BAR);
    histogram_bar(1, 4, false, text);
    assert_string_equal(text, "##########");
    histogram_bar(1, 100000, false, text);
    assert_string_equal(text, "#"); /* what was counted is seen */
    histogram_bar(0, 7, true, text);
    assert_string_equal(text, "");
    histogram_bar(1, 80, true, text);
    assert_string_equal(text, "\u258c"); /* half a character */
    histogram_bar(3, 80, true, text);
    assert_string_equal(text, "\u2588\u258c");
}

/* ---- curves ---------------------------------------------------------------------------------- */

static void points_of_a_curve_are_joined(void **state) {
    const struct plot_point points[] = {{0, 1, PLOT_MEASURED},
                                        {50, NAN, PLOT_MEASURED},
                                        {100, 3, PLOT_MEASURED},
                                        {200, 2, PLOT_MEASURED}};
    static struct plot_point joined[2000];
    int n = plot_join(points, 4, PLOT_CLOUD, 2000, joined);
    assert_in_range(n, 900, 1010);
    for (int i = 0; i < n; i++) {
        double x = joined[i].x, y = x < 100 ? 1 + 2 * x / 100 : 3 - (x - 100) / 100;
        assert_true(fabs(joined[i].y - y) < 1e-9);
        assert_int_equal(joined[i].kind, PLOT_CLOUD);
        assert_true(i == 0 || (x > joined[i - 1].x && x - joined[i - 1].x < 0.5));
    }
    assert_int_equal(plot_join(points, 4, PLOT_CLOUD, 7, joined), 7);
    assert_int_equal(plot_join(points, 1, PLOT_CLOUD, 7, joined), 0);
    assert_int_equal(plot_join(NULL, 0, PLOT_CLOUD, 7, joined), 0);
}

static void a_curve_is_drawn_from_end_to_end_on_a_linear_axis(void **state) {
    static struct plot_point points[2000] = {{1, 5, PLOT_CURVE}, {1000, 5, PLOT_CURVE}};
    struct plot plot = {.points = points, .width = 60, .height = 7, .linear = true};
    struct buf out;
    plot.n_points = 2 + plot_join(points, 2, PLOT_CURVE, 1998, points + 2);
    buf_init(&out, 0);
    plot_put(&out, &plot);
    const char *row = strchr(out.data, '*');
    assert_non_null(row);
    assert_int_equal(strspn(row, "*"), 49); /* all columns but those of the labels */
    assert_non_null(strstr(out.data, "500.5"));
    buf_clear(&out);
    plot.linear = false;
    plot_put(&out, &plot);
    assert_null(strstr(out.data, "500.5")); /* three decades are logarithmic else */
    buf_finish(&out);
}

static void values_are_a_row_of_bars(void **state) {
    const double few[] = {0, 2, NAN, 7}, many[] = {1, 3, 2, 2, 8, 6};
    struct buf out;
    buf_init(&out, 0);
    plot_put_spark(&out, few, 4, 10, true);
    assert_string_equal(out.data, "\u2581\u2583\u2583\u2588");
    buf_clear(&out);
    plot_put_spark(&out, many, 6, 3, false); /* means of two */
    assert_string_equal(out.data, "--#");
    buf_clear(&out);
    plot_put_spark(&out, few, 0, 3, false);
    assert_int_equal(out.len, 0);
    buf_finish(&out);
}

/* ---- charts ---------------------------------------------------------------------------------- */

/* A line from low to high, drawn. */
static void draw(double low, double high, struct buf *out) {
    const struct chart_series series = {"nsga2", "strategy", CHART_LINE};
    struct chart_point points[2] = {{.x = 1, .y = low}, {.x = 2, .y = high}};
    for (int i = 0; i < 2; i++)
        points[i].x_low = points[i].x_high = points[i].y_low = points[i].y_high = points[i].from_x =
            points[i].from_y = NAN;
    const struct chart chart = {.id = "c",
                                .title = "t",
                                .x = {"x", NAN, false},
                                .y = {"y", NAN, false},
                                .series = &series,
                                .n_series = 1,
                                .points = points,
                                .n_points = 2};
    buf_init(out, 0);
    chart_put(out, &chart);
}

/* The labels of the y axis differ, and none reaches the title, which ends at 20, or the frame. */
static int check_labels(const char *svg, char first[64]) {
    const char *end = "text-anchor=\"end\">";
    char before[64] = "";
    int n = 0;
    for (const char *at = svg; (at = strstr(at, end)) != NULL; n++) {
        const char *x = at;
        while (strncmp(x, "<text x=\"", 9) != 0)
            x--;
        char label[64] = "";
        at += strlen(end);
        strncat(label, at, strcspn(at, "<"));
        assert_true(atof(x + 9) - 6.7 * (double)strlen(label) > 20);
        assert_string_not_equal(label, before);
        assert_true(n == 0 || atof(label) > atof(before));
        strcpy(before, label);
        if (n == 0)
            strcpy(first, label);
    }
    return n;
}

static void labels_of_an_axis_differ_and_have_room(void **state) {
    static const struct {
        double low, high;
        const char *first;
    } axes[] = {
        {128900, 129289, "128900"},         {0.5031, 0.5049, "0.5032"}, {3, 40, "5"},
        {2.0000001e15, 2.0000004e15, NULL}, {-1e-9, 4e-9, NULL},        {0.61, 0.72, "0.62"}};
    for (int i = 0; i < (int)(sizeof(axes) / sizeof(axes[0])); i++) {
        struct buf out;
        char first[64];
        draw(axes[i].low, axes[i].high, &out);
        assert_true(check_labels(out.data, first) >= 3);
        if (axes[i].first)
            assert_string_equal(first, axes[i].first);
        buf_finish(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_are_counted_in_bins_of_equal_width),
        cmocka_unit_test(few_outliers_leave_the_others_readable),
        cmocka_unit_test(equal_samples_are_one_bin),
        cmocka_unit_test(a_bar_is_as_long_as_its_share),
        cmocka_unit_test(points_of_a_curve_are_joined),
        cmocka_unit_test(a_curve_is_drawn_from_end_to_end_on_a_linear_axis),
        cmocka_unit_test(values_are_a_row_of_bars),
        cmocka_unit_test(labels_of_an_axis_differ_and_have_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
