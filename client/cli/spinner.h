// SPDX-License-Identifier: Apache-2.0
/* spinner.h - says on stderr that work goes on, when it takes over a second and stderr is a terminal. */
#ifndef MA_SPINNER_H
#define MA_SPINNER_H

/* `what` ("reading") must live until stop. One at a time. */
void ma_spinner_start(const char *what);
/* Wipes the line. To be called before anything is printed; more than once is fine. */
void ma_spinner_stop(void);

#endif
