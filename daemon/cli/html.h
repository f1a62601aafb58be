/* HTML and SVG as text in a buffer. What comes from elsewhere goes through html_text, in elements
 * and in quoted attributes alike, so that no name can become markup. */
#pragma once

#include "base/buf.h"

void html_text(struct buf *out, const char *text);
/* A printf whose result is escaped as a whole; cut after 4,095 bytes. */
void html_textf(struct buf *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* <tag>text</tag>; tag may hold attributes: "td class=\"n\"". */
void html_element(struct buf *out, const char *tag, const char *text);
