#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config_int.h"

/* The shortest digits that read back as the same number, as Java places the point: plain from
 * 1.0E-3 to 1.0E7, scientific else. */
void config_double_format(double value, char text[CONFIG_DOUBLE_TEXT_MAX]) {
    if (!isfinite(value)) {
        (void)snprintf(text, CONFIG_DOUBLE_TEXT_MAX, "%s",
                       isnan(value) ? "NaN"
                       : value < 0  ? "-Infinity"
                                    : "Infinity");
        return;
    }
    char scientific[CONFIG_DOUBLE_TEXT_MAX - 8];
    int precision = 0;
    do {
        (void)snprintf(scientific, sizeof scientific, "%.*e", precision, value);
    } while (++precision < 18 && strtod(scientific, NULL) != value);

    double size = fabs(value);
    if (size == 0 || (size >= 1e-3 && size < 1e7)) {
        int exponent = atoi(strchr(scientific, 'e') + 1);
        int decimals = precision - 1 - exponent;
        (void)snprintf(text, CONFIG_DOUBLE_TEXT_MAX, "%.*f", decimals < 1 ? 1 : decimals, value);
        return;
    }
    char *exponent = strchr(scientific, 'e');
    *exponent = 0;
    (void)snprintf(text, CONFIG_DOUBLE_TEXT_MAX, "%s%sE%d", scientific,
                   strchr(scientific, '.') == NULL ? ".0" : "", atoi(exponent + 1));
}
