/* SPDX-License-Identifier: Apache-2.0 */
/*
 * f_state.c: unwind tables of code that is made at run time, registered with libgcc.
 */
#ifndef STATE_FRAMES_H
#define STATE_FRAMES_H

#define INFO 1 /* libgcc gets an object for it */
#define LIST 2 /* an array of tables */

static uint32_t frames[64];
static void *frames_list[2] = { frames };
static uint64_t frames_object[8];

static void *of_libgcc(const char *name)
{
	void *libgcc = dlopen("libgcc_s.so.1", RTLD_NOW | RTLD_GLOBAL);
	void *function = libgcc ? dlsym(RTLD_DEFAULT, name) : NULL;
	if (!function)
		abort();
	return function;
}

/* A CIE, an FDE for 64 bytes at 0x1000, and the end. */
static void *make_frames(int form)
{
	static const uint32_t table[] = { 16, 0, 0x78010001, 0x08070c10, 0x00000190, 20, 24, 0x1000,
		0, 64, 0, 0 };
	memcpy(frames, table, sizeof(table));
	return form & LIST ? (void *)frames_list : frames;
}

static long take_back(void *begin, int form)
{
	void *(*info)(const void *);
	void (*plain)(void *);
	if (!(form & INFO)) {
		*(void **)&plain = of_libgcc("__deregister_frame");
		plain(begin);
		return 0;
	}
	*(void **)&info = of_libgcc("__deregister_frame_info");
	return info(begin) != frames_object;
}

static long give(const char *name, int form)
{
	void *begin = make_frames(form);
	CALL(of_libgcc(name), begin, frames_object, NULL, NULL);
	return take_back(begin, form);
}

static long take(const char *name, int form)
{
	void *begin = make_frames(form);
	void (*plain)(void *);
	void (*info)(const void *, void *);
	if (form & INFO) {
		*(void **)&info = of_libgcc("__register_frame_info");
		info(begin, frames_object);
		return CALL(of_libgcc(name), begin) != (long)frames_object;
	}
	*(void **)&plain = of_libgcc("__register_frame");
	plain(begin);
	CALL(of_libgcc(name), begin);
	return 0;
}

/* clang-format off */
#define GIVE(name, form) static long do_##name(void) { return give(#name, form); }
#define TAKE(name, form) static long do_##name(void) { return take(#name, form); }
/* clang-format on */

GIVE(__register_frame, 0)
GIVE(__register_frame_info, INFO)
GIVE(__register_frame_info_bases, INFO)
GIVE(__register_frame_table, LIST)
GIVE(__register_frame_info_table, INFO | LIST)
GIVE(__register_frame_info_table_bases, INFO | LIST)
TAKE(__deregister_frame, 0)
TAKE(__deregister_frame_info, INFO)
TAKE(__deregister_frame_info_bases, INFO)

#endif
