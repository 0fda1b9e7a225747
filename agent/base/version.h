/* SPDX-License-Identifier: Apache-2.0 */
/* The version of the product. CHANGELOG.md begins with it, which `make lint` checks. */
#ifndef PA_VERSION_H
#define PA_VERSION_H

#define PA_VERSION "0.9.0"

#endif
