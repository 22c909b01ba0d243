/* SPDX-License-Identifier: MIT */
/*
 * The entry code itself runs here, patched.  What a host refuses to a user
 * (WRMSR, VMLAUNCH and their like) ends in on_refused(), which plays the
 * processor: MSR writes and guests' runs go into a story.  So do the sequences
 * that would run unseen, where watch() has put a HLT into them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arch/x86/cpu.h>
#include <arch/x86/mitigation.h>
#include <arch/x86/svm/svm.h>
#include <arch/x86/vmx/vmx.h>
#include <cmocka.h>
#include <mullion/bits.h>
#include <mullion/fast_exit.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#define BRANCH_SIZE 5
#define MITIGATIONS 14 /* bits of enum mitigation */

/* What is written is not const: the compiler must look again. */
extern char vmx_fast_call[], svm_fast_call[];
extern char vmx_entry_guard[], svm_entry_guard[];
extern char vmx_enter_undo[], vmx_fast_undo[];
extern char exit_ibpb[], exit_fence[], exit_ibrs[], exit_rsb[];
extern char exit_bhb[], entry_l1d[], entry_ibrs[], entry_verw[];
extern char fence[], rsb_refill[], bhb_loop[], verw_buffers[];
extern char indirect_thunks[];
extern const char guarded_fast[], retpolines[];
extern const char vmx_exit[], vmx_enter_look[], vmx_enter_failed[];
extern const char vmx_fast_look[], vmx_fast_failed[];

int vmx_enter(struct vcpu *vcpu, bool launched, volatile bool *kicked,
	      uint64_t *host_rsp);
int svm_enter(struct vcpu *vcpu, uint64_t vmcb, uint64_t host,
	      volatile bool *kicked);

/* ---- the image, which is put back after each test ------------------------- */

static struct {
	char *at;
	uint8_t old[8];
	size_t size;
} written[256];
static size_t writes;

static void poke(char *at, const void *bytes, size_t size)
{
	uintptr_t page = (uintptr_t)at & ~0xffful;
	size_t span = (uintptr_t)at + size - page;

	assert_int_equal(mprotect((void *)page, span,
				  PROT_READ | PROT_WRITE | PROT_EXEC),
			 0);
	memcpy(at, bytes, size);
}

void page_table_write_image(const char *at, const uint8_t *bytes, size_t size)
{
	assert_true(writes < ARRAY_COUNT(written));
	assert_true(size <= sizeof written[0].old);
	written[writes].at = (char *)at;
	written[writes].size = size;
	memcpy(written[writes++].old, at, size);
	poke((char *)at, bytes, size);
}

/* ---- the processor -------------------------------------------------------- */

static char story[1024];
static struct vcpu vcpu;
static volatile bool kicked;
static bool refuses; /* VMLAUNCH and VMRESUME, as a failed entry */
static uint32_t fast_answers[4], fast_count;
static uint64_t guest_rbx;

static void tell(const char *words)
{
	assert_true(strlen(story) + strlen(words) < sizeof story);
	strcat(story, words);
}

static uint32_t next_answer(void)
{
	tell("fast ");
	return fast_answers[fast_count++];
}

uint32_t vmx_fast(struct vcpu *of)
{
	assert_ptr_equal(of, &vcpu);
	/* A kick comes while the exit is dealt with. */
	kicked = fast_answers[fast_count] == FAST_RESUME;
	return next_answer();
}

uint32_t svm_fast_by_view(struct vcpu *of)
{
	assert_ptr_equal(of, &vcpu);
	return next_answer();
}

static const struct {
	const char *at, *words;
} sequences[] = {
	{ fence, "fence " },
	{ rsb_refill, "rsb " },
	{ bhb_loop, "bhb " },
	{ verw_buffers, "verw " },
};

/* Until put_back(), in place of what they do. */
static void watch(void)
{
	static const uint8_t hlt = 0xf4;

	for (size_t i = 0; i < ARRAY_COUNT(sequences); i++)
		page_table_write_image(sequences[i].at, &hlt, 1);
}

static void end_sequence(greg_t *r)
{
	for (size_t i = 0; i < ARRAY_COUNT(sequences); i++)
		if (r[REG_RIP] == (greg_t)sequences[i].at)
			tell(sequences[i].words);
	r[REG_RIP] = *(greg_t *)r[REG_RSP]; /* RET */
	r[REG_RSP] += 8;
}

static bool is_code(const uint8_t *at, uint8_t second, uint8_t third)
{
	return at[0] == 0x0f && at[1] == second && (!third || at[2] == third);
}

/* The guest has run: it has seen its registers and has changed one. */
static void run_guest(greg_t *r, const char *words)
{
	tell(words);
	assert_int_equal(r[REG_RBX], guest_rbx);
	assert_int_equal(r[REG_R15], 0x1515);
	assert_int_equal(r[REG_RDI], 0xd1);
	r[REG_RBX] = (greg_t)++guest_rbx;
}

static void on_refused(int signal, siginfo_t *info, void *context)
{
	greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
	const uint8_t *at = (const uint8_t *)r[REG_RIP];
	char words[64];

	(void)signal;
	(void)info;
	if (is_code(at, 0x30, 0)) { /* WRMSR */
		snprintf(words, sizeof words, "%x=%x ", (uint32_t)r[REG_RCX],
			 (uint32_t)r[REG_RAX]);
		assert_int_equal((uint32_t)r[REG_RDX], 0);
		tell(words);
		r[REG_RIP] += 2;
	} else if (is_code(at, 0x01, 0xc2) || is_code(at, 0x01, 0xc3)) {
		r[REG_RIP] += 3; /* VMLAUNCH, VMRESUME */
		if (!refuses)
			r[REG_RIP] = (greg_t)vmx_exit;
		run_guest(r, at[2] == 0xc2 ? "launch " : "resume ");
	} else if (is_code(at, 0x01, 0xd8)) {
		r[REG_RIP] += 3; /* VMRUN */
		assert_int_equal(r[REG_RAX], 0xb000);
		run_guest(r, "run ");
	} else if (is_code(at, 0x79, 0)) { /* VMWRITE, register form */
		r[REG_RIP] += 3;
	} else if (is_code(at, 0x01, 0)) { /* CLGI, STGI, VMLOAD, VMSAVE */
		r[REG_RIP] += 3;
	} else if (at[0] == 0xfa || at[0] == 0xfb) { /* CLI, STI */
		r[REG_RIP] += 1;
	} else if (at[0] == 0xf4) {
		end_sequence(r);
	} else {
		_exit(99);
	}
}

/* In the test itself, since cmocka has handlers of its own around it. */
static void play_the_processor(void)
{
	struct sigaction action = { .sa_sigaction = on_refused,
				    .sa_flags = SA_SIGINFO | SA_NODEFER };

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGILL, &action, NULL);
}

static int begin(void **state)
{
	(void)state;
	memset(&vcpu, 0, sizeof vcpu);
	vcpu.gpr[RBX] = guest_rbx = 0xb0;
	vcpu.gpr[R15] = 0x1515;
	vcpu.gpr[RDI] = 0xd1;
	memset(fast_answers, 0, sizeof fast_answers); /* FAST_LONG_WAY */
	fast_count = 0;
	kicked = refuses = false;
	story[0] = 0;
	return 0;
}

static int put_back(void **state)
{
	(void)state;
	while (writes > 0) {
		writes--;
		poke(written[writes].at, written[writes].old,
		     written[writes].size);
	}
	mitigation_spec_ctrl_host = mitigation_spec_ctrl_guest = 0;
	return 0;
}

/* ---- the bytes ------------------------------------------------------------ */

static const uint8_t nop[BRANCH_SIZE] = { 0x0f, 0x1f, 0x44, 0, 0 };

static bool leads_to(const char *at, uint8_t opcode, const char *target)
{
	int32_t distance;

	memcpy(&distance, at + 1, sizeof distance);
	return (uint8_t)at[0] == opcode &&
	       at + BRANCH_SIZE + distance == target;
}

/* All that may become a call. */
static const char *const sites[] = {
	exit_ibpb,	 exit_fence,	  exit_ibrs,	  exit_rsb,
	exit_bhb,	 entry_l1d,	  entry_ibrs,	  entry_verw,
	vmx_entry_guard, svm_entry_guard, vmx_enter_undo, vmx_fast_undo,
};

static size_t calls_written(void)
{
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_COUNT(sites); i++)
		count += memcmp(sites[i], nop, sizeof nop) != 0;
	return count;
}

static void each_mitigation_writes_its_sites_only(void **state)
{
	static const uint8_t counts[MITIGATIONS] = {
		[2] = 1,  /* RSB_REFILL: at exits, which are shared */
		[3] = 1,  /* RSB_FENCE */
		[6] = 6,  /* IBRS: at exits, entries of three kinds, undone */
		[8] = 1,  /* BHB_LOOP */
		[9] = 1,  /* IBPB_EXIT */
		[11] = 3, /* VERW: at entries, to which two guards lead */
		[12] = 3, /* L1D_FLUSH: the same, on the long way */
	};
	const uint32_t guards = RSB_REFILL | RSB_FENCE | IBRS | BHB_LOOP |
				IBPB_EXIT | VERW;

	assert_int_equal(calls_written(), 0);
	for (int i = 0; i < MITIGATIONS; i++) {
		bool guarded = BIT(i) & guards;

		mitigation_patch(BIT(i));
		assert_int_equal(calls_written(), counts[i]);
		assert_true(leads_to(vmx_fast_call, 0xe8,
				     guarded ? guarded_fast :
					       (const char *)vmx_fast));
		assert_true(leads_to(svm_fast_call, 0xe8,
				     guarded ? guarded_fast :
					       (const char *)svm_fast_by_view));
		put_back(state);
	}
}

/* An NMI there moves RIP, and RSP must be what it is outside of a sequence. */
static void no_site_is_where_an_nmi_moves_rip(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(sites); i++) {
		assert_false(sites[i] + BRANCH_SIZE > vmx_enter_look &&
			     sites[i] < vmx_enter_failed);
		assert_false(sites[i] + BRANCH_SIZE > vmx_fast_look &&
			     sites[i] < vmx_fast_failed);
	}
}

static void spec_ctrl_is_what_is_on(void **state)
{
	static const struct {
		uint32_t on, host, guest;
	} rows[] = {
		{ IBRS, 1, 0 },
		{ EIBRS, 1, 0 },
		{ EIBRS | BHI_DIS_S, 0x401, 0x400 },
		{ VERW, 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		mitigation_patch(rows[i].on);
		assert_int_equal(mitigation_spec_ctrl_host, rows[i].host);
		assert_int_equal(mitigation_spec_ctrl_guest, rows[i].guest);
		put_back(state);
	}
}

/* ---- indirect calls ------------------------------------------------------- */

/* call_by_X(function): calls it through register X's thunk. */
#define REGISTERS(row) \
	row(rax) row(rcx) row(rdx) row(rbx) row(rbp) row(rsi) row(rdi) row(r8) \
		row(r9) row(r10) row(r11) row(r12) row(r13) row(r14) row(r15)
#define CALL_BY(name) \
	void call_by_##name(void (*function)(void)); \
	__asm__(".text\ncall_by_" #name ":\n" \
		"push %" #name "\nmov %rdi, %" #name "\n" \
		"call __x86_indirect_thunk_" #name "\n" \
		"pop %" #name "\nret\n");
REGISTERS(CALL_BY)
#define NAME_OF(name) call_by_##name,
static void (*const callers[])(void (*)(void)) = { REGISTERS(NAME_OF) };
static uint32_t calls;

static void count_call(void)
{
	calls++;
}

static void thunks_lead_where_they_should(void **state)
{
	(void)state;
	calls = 0;
	for (size_t i = 0; i < ARRAY_COUNT(callers); i++)
		callers[i](count_call);
	assert_int_equal(calls, 15);
	mitigation_patch(RETPOLINES);
	for (size_t i = 0; i < ARRAY_COUNT(callers); i++) {
		assert_true(leads_to(indirect_thunks + 8 * i, 0xe9,
				     retpolines + 32 * i));
		callers[i](count_call);
	}
	assert_int_equal(calls, 30);
}

/* ---- entries and exits ---------------------------------------------------- */

#define EVERYTHING (BITS(MITIGATIONS - 1, 0) & ~(uint32_t)BHI_DIS_S)

static int enter_vmx(void)
{
	uint64_t host_rsp = 0;

	play_the_processor();
	return vmx_enter(&vcpu, false, &kicked, &host_rsp);
}

static int enter_svm(void)
{
	play_the_processor();
	return svm_enter(&vcpu, 0xb000, 0xa000, &kicked);
}

static void without_any_nothing_is_done(void **state)
{
	(void)state;
	assert_int_equal(enter_vmx(), 1); /* EXITED */
	assert_string_equal(story, "launch fast ");
	assert_int_equal(vcpu.gpr[RBX], 0xb1);
	story[0] = 0;
	assert_int_equal(enter_svm(), 1);
	assert_string_equal(story, "run fast ");
}

/* What each alone does before a guest, after it, and when an entry is called
 * off, which SVM does before all. */
static void each_alone_does_its_own(void **state)
{
	static const struct {
		uint32_t on;
		const char *before, *after, *undone;
	} rows[] = {
		{ LFENCE_WAITS | RETPOLINES | EIBRS | AUTO_IBRS | BHI_DIS_S |
			  IBPB_SWITCH | APART,
		  "", "", "" }, /* nothing at entries and exits */
		{ RSB_REFILL, "", "rsb ", "" },
		{ RSB_FENCE, "", "fence ", "" },
		{ IBRS, "48=0 ", "48=1 ", "48=1 " },
		{ BHB_LOOP, "", "bhb ", "" },
		{ IBPB_EXIT, "", "49=1 ", "" },
		{ VERW, "verw ", "", "" },
		{ L1D_FLUSH, "10b=1 ", "", "" },
	};
	char words[64];

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		mitigation_patch(rows[i].on);
		watch();
		begin(state);
		assert_int_equal(enter_vmx(), 1); /* EXITED */
		snprintf(words, sizeof words, "%slaunch %sfast ",
			 rows[i].before, rows[i].after);
		assert_string_equal(story, words);
		begin(state);
		mitigation_branch(guarded_call, BRANCH_CALL,
				  (const char *)svm_fast_by_view);
		assert_int_equal(enter_svm(), 1);
		snprintf(words, sizeof words, "%srun %sfast ", rows[i].before,
			 rows[i].after);
		assert_string_equal(story, words);
		begin(state);
		kicked = true;
		assert_int_equal(enter_vmx(), 0); /* ABORTED */
		snprintf(words, sizeof words, "%s%s", rows[i].before,
			 rows[i].undone);
		assert_string_equal(story, words);
		put_back(state);
	}
}

/* The guest's last is VERW; IBPB comes before anything has returned. */
static void all_come_in_their_order(void **state)
{
	(void)state;
	mitigation_patch(EVERYTHING);
	watch();
	assert_int_equal(enter_vmx(), 1);
	assert_string_equal(story, "10b=1 48=0 verw launch "
				   "49=1 fence 48=1 rsb bhb fast ");
}

static void the_long_way_is_guarded(void **state)
{
	(void)state;
	mitigation_patch(EVERYTHING);
	assert_int_equal(enter_vmx(), 1);
	/* The flush of L1 before, IBPB first and IBRS on after. */
	assert_string_equal(story, "10b=1 48=0 launch 49=1 48=1 fast ");
	assert_int_equal(vcpu.gpr[RBX], 0xb1);
	assert_int_equal(vcpu.gpr[R15], 0x1515);
	assert_int_equal(vcpu.gpr[RDI], 0xd1);
}

static void the_short_path_flushes_no_l1(void **state)
{
	(void)state;
	mitigation_patch(EVERYTHING);
	mitigation_branch(guarded_call, BRANCH_CALL,
			  (const char *)svm_fast_by_view);
	fast_answers[0] = FAST_RESUME;
	fast_answers[1] = FAST_LOOK;
	assert_int_equal(enter_svm(), 3); /* HANDLED */
	assert_string_equal(story, "10b=1 48=0 run 49=1 48=1 fast "
				   "48=0 run 49=1 48=1 fast ");
	assert_int_equal(vcpu.gpr[RBX], 0xb2);
	assert_int_equal(vcpu.gpr[R15], 0x1515);
}

/* IBRS is on whenever the hypervisor goes on, whichever way it got there. */
static void an_entry_called_off_is_undone(void **state)
{
	(void)state;
	mitigation_patch(EVERYTHING);
	kicked = true;
	assert_int_equal(enter_vmx(), 0); /* ABORTED */
	assert_string_equal(story, "10b=1 48=0 48=1 ");

	begin(state);
	refuses = true;
	assert_int_equal(enter_vmx(), 2); /* REFUSED */
	assert_string_equal(story, "10b=1 48=0 launch 48=1 ");

	begin(state);
	fast_answers[0] = FAST_RESUME;	  /* and kicked, then */
	assert_int_equal(enter_vmx(), 3); /* HANDLED */
	assert_string_equal(story, "10b=1 48=0 launch 49=1 48=1 fast 48=0 "
				   "48=1 ");
	assert_int_equal(vcpu.gpr[RBX], 0xb1);

	begin(state);
	kicked = true;
	assert_int_equal(enter_svm(), 0); /* CALLED_OFF */
	assert_string_equal(story, "");
}

/* Under each alone, registers and stack come back as they were. */
static void each_alone_leaves_registers_alone(void **state)
{
	for (int i = 0; i < MITIGATIONS; i++) {
		begin(state);
		mitigation_patch(BIT(i));
		assert_int_equal(enter_vmx(), 1);
		assert_non_null(strstr(story, "launch "));
		assert_int_equal(vcpu.gpr[RBX], 0xb1);
		assert_int_equal(vcpu.gpr[R15], 0x1515);
		put_back(state);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, put_back)
		TEST(each_mitigation_writes_its_sites_only),
		TEST(no_site_is_where_an_nmi_moves_rip),
		TEST(spec_ctrl_is_what_is_on),
		TEST(thunks_lead_where_they_should),
		TEST(without_any_nothing_is_done),
		TEST(each_alone_does_its_own),
		TEST(all_come_in_their_order),
		TEST(the_long_way_is_guarded),
		TEST(the_short_path_flushes_no_l1),
		TEST(an_entry_called_off_is_undone),
		TEST(each_alone_leaves_registers_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
