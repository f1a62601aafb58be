/* What a message says of a number outside its range. */
#pragma once

enum { RANGE_TEXT = 160 };

/* "must be from 1 to 10, not 11". A bound of 1e15 or more on either side is no limit that anybody
 * chose (the end of the integers, a stand-in for none) and is not named: "must be at least 1, not
 * 0", "must be a smaller number than 1e+300". value lies outside [min, max]. */
void range_refusal(double min, double max, double value, char ret_text[RANGE_TEXT]);
