#include "frames.h"

#include <sys/mman.h>

#include "step.h"

#include "../base/banned.h"

#define WAYS 4 /* entries of one cache line */
#define SETS (PA_FRAMES_ENTRIES / WAYS)

/* Layout of the data word, low bits first. Offsets are stored in words of 8 bytes. */
enum { KIND_BITS = 4, EPOCH_BITS = 12, CFA_BITS = 21, BASE_BITS = 12, BP_BITS = 14 };
enum {
	EPOCH_AT = KIND_BITS,
	CFA_AT = EPOCH_AT + EPOCH_BITS,
	BASE_AT = CFA_AT + CFA_BITS,
	BP_AT = BASE_AT + BASE_BITS
};
#define EPOCH_MASK ((1u << EPOCH_BITS) - 1)

struct entry {
	PA_ATOMIC(uint64_t) key;  /* key of the pc, XOR data */
	PA_ATOMIC(uint64_t) data; /* 0: empty */
};

struct pa_frames {
	PA_ATOMIC(uint32_t) epoch; /* release in new_epoch, acquire in epoch and find */
	uint32_t turn;             /* which way a full set loses next; collector only */
	struct entry entries[SETS][WAYS] __attribute__((aligned(PA_CACHE_LINE)));
};

struct pa_frames *pa_frames_create(void)
{
	void *memory = mmap(NULL, sizeof(struct pa_frames), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

PA_INLINE uint64_t key_of(uintptr_t pc, bool leaf)
{
	return (uint64_t)pc << 1 | leaf;
}

PA_INLINE size_t set_of(uint64_t key)
{
	return key * 0x9e3779b97f4a7c15u >> 32 & (SETS - 1);
}

static uint64_t pack(const struct pa_rule *rule, uint32_t epoch)
{
	uint64_t cfa = (uint64_t)(rule->cfa_offset / 8) & ((1u << CFA_BITS) - 1);
	uint64_t base = (uint64_t)(rule->base_offset / 8) & ((1u << BASE_BITS) - 1);
	uint64_t bp = (uint64_t)(-rule->bp_offset / 8) & ((1u << BP_BITS) - 1);
	return (uint64_t)rule->kind | (uint64_t)(epoch & EPOCH_MASK) << EPOCH_AT | cfa << CFA_AT |
		base << BASE_AT | bp << BP_AT;
}

/* Field of bits at, as a signed number of bytes. */
PA_INLINE int32_t signed_bytes(uint64_t data, int at, int bits)
{
	return (int32_t)((int64_t)(data << (64 - at - bits)) >> (64 - bits)) * 8;
}

PA_INLINE struct pa_rule unpack(uint64_t data)
{
	return (struct pa_rule){
		.kind = data & ((1u << KIND_BITS) - 1),
		.cfa_offset = signed_bytes(data, CFA_AT, CFA_BITS),
		.base_offset = signed_bytes(data, BASE_AT, BASE_BITS),
		.bp_offset = -(int32_t)(data >> BP_AT & ((1u << BP_BITS) - 1)) * 8,
	};
}

PA_INLINE bool is_current(uint64_t data, uint32_t epoch)
{
	return (data >> EPOCH_AT & EPOCH_MASK) == (epoch & EPOCH_MASK);
}

struct pa_rule pa_frames_find(const struct pa_frames *frames, uintptr_t pc, bool leaf)
{
	uint64_t key = key_of(pc, leaf);
	const struct entry *set = frames->entries[set_of(key)];
	uint32_t epoch = pa_load_acquire(&frames->epoch);
	for (int way = 0; way < WAYS; way++) {
		uint64_t data = pa_load_relaxed(&set[way].data);
		if ((pa_load_relaxed(&set[way].key) ^ data) == key && is_current(data, epoch))
			return unpack(data);
	}
	return (struct pa_rule){ .kind = PA_RULE_NONE };
}

static bool within(int32_t bytes, int32_t low, int32_t high)
{
	return bytes >= low && bytes < high && !(bytes & 7);
}

static bool fits(const struct pa_rule *rule)
{
	return within(rule->cfa_offset, -PA_RULE_CFA_LIMIT, PA_RULE_CFA_LIMIT) &&
		within(rule->base_offset, -PA_RULE_BASE_LIMIT, PA_RULE_BASE_LIMIT) &&
		within(rule->bp_offset, -PA_RULE_BP_LIMIT, 8);
}

/* The entry to write: the same pc's, else a dead one, else the next in turn. */
static struct entry *victim_of(struct pa_frames *frames, uint64_t key, uint32_t epoch)
{
	struct entry *set = frames->entries[set_of(key)];
	struct entry *dead = NULL;
	for (int way = 0; way < WAYS; way++) {
		uint64_t data = pa_load_relaxed(&set[way].data);
		if ((pa_load_relaxed(&set[way].key) ^ data) == key)
			return &set[way];
		if (!data || !is_current(data, epoch))
			dead = &set[way];
	}
	return dead ? dead : &set[frames->turn++ % WAYS];
}

bool pa_frames_insert(struct pa_frames *frames, uintptr_t pc, bool leaf,
	const struct pa_rule *rule, uint32_t epoch)
{
	if (rule->kind == PA_RULE_NONE || pc >= PA_ADDRESS_LIMIT || !fits(rule))
		return false;
	uint64_t key = key_of(pc, leaf);
	struct entry *entry = victim_of(frames, key, epoch);
	uint64_t data = pack(rule, epoch);
	pa_store_relaxed(&entry->data, data);
	pa_store_relaxed(&entry->key, key ^ data);
	return true;
}

uint32_t pa_frames_epoch(const struct pa_frames *frames)
{
	return pa_load_acquire(&frames->epoch);
}

void pa_frames_new_epoch(struct pa_frames *frames)
{
	uint32_t epoch = pa_add_acq_rel(&frames->epoch, 1) + 1;
	if (epoch & EPOCH_MASK)
		return;
	/* The stored epoch wrapped: entries of 4096 unloads ago would come back to life. */
	for (size_t set = 0; set < SETS; set++)
		for (int way = 0; way < WAYS; way++) {
			pa_store_relaxed(&frames->entries[set][way].key, 0);
			pa_store_relaxed(&frames->entries[set][way].data, 0);
		}
}

bool pa_frames_step(const struct pa_rule *rule, struct pa_cursor *cursor, pa_read_word_fn *read,
	void *arg)
{
	return step_inline(rule, cursor, read, arg);
}
