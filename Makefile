# SPDX-License-Identifier: MIT
# One Makefile for the whole tree.  `make help` lists the targets.
B := build
VERSION := 0.1.0

CC := gcc
say = @printf '  %-7s %s\n' $(1) $(2);

warn := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wvla -Wswitch -Wpointer-arith
common := -std=gnu17 -g -O2 -Iinclude -MMD -MP $(warn) -fno-strict-aliasing \
	-DMULL_VERSION='"$(VERSION)"'
freestanding := -ffreestanding -fno-stack-protector -mno-red-zone \
	-mgeneral-regs-only -fcf-protection=none -fno-asynchronous-unwind-tables
# Indirect calls go through arch/x86/mitigation_code.S.
retpolines := -mindirect-branch=thunk-extern -mindirect-branch-register -fno-jump-tables

# ---- sources ---------------------------------------------------------------
kernel_pure := $(filter-out kernel/string.c,$(wildcard kernel/*.c kernel/*/*.c))
x86_pure    := $(wildcard arch/x86/instruction*.c) arch/x86/acpi.c arch/x86/cache_allocation.c arch/x86/mitigation.c arch/x86/stage2.c arch/x86/svm/svm_decode.c \
	$(addprefix arch/x86/vmx/,vmx_decode.c vmx_controls.c vmx_check.c vmx_check_segments.c)
driver_src  := $(wildcard drivers/*.c)
boot_pure   := $(addprefix boot/,device_path.c elf_image.c memory_map.c page_tables.c text.c wall_clock.c)
hypervisor_src := $(wildcard kernel/*.c kernel/*/*.c arch/x86/*.c arch/x86/*.S \
	arch/x86/svm/*.c arch/x86/svm/*.S arch/x86/vmx/*.c arch/x86/vmx/*.S) $(driver_src)
boot_src    := $(wildcard boot/*.c)
mullctl_src := $(wildcard tools/mullctl/*.c kernel/partition/description*.c) \
	kernel/format.c kernel/exits/exit_name.c kernel/partition/cache_plan.c
libmullctl_src := $(wildcard tools/libmullctl/*.c) \
	kernel/error.c kernel/crc32.c $(addprefix kernel/manage/,datagram.c frame.c window.c)
# What host tests link: pure code, and fakes in place of the hardware.
unit_src    := $(kernel_pure) $(driver_src) $(wildcard $(x86_pure)) $(boot_pure) \
	$(wildcard arch/fake/*.c tests/unit/support_*.c) \
	$(filter-out tools/mullctl/main.c,$(wildcard tools/mullctl/*.c)) \
	$(wildcard tools/libmullctl/*.c)
unit_tests  := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))
guests      := $(patsubst guests/%.c,%,$(wildcard guests/*.c))
fuzz_src   := $(kernel_pure) $(driver_src) $(x86_pure) $(wildcard arch/fake/*.c)
fuzz_tests := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))

hypervisor_cflags := $(common) $(freestanding) -mcmodel=kernel -fno-pic \
	-fno-omit-frame-pointer -I$(B)/gen $(retpolines)
boot_cflags := $(common) $(freestanding) -fpic -fshort-wchar \
	-maccumulate-outgoing-args -DGNU_EFI_USE_MS_ABI \
	-isystem /usr/include/efi -isystem /usr/include/efi/x86_64
guest_cflags := $(common) $(freestanding) -fno-pic -mcmodel=small -Iguests/sdk
mullctl_cflags := $(common) -D_GNU_SOURCE -Itools/libmullctl
libmullctl_cflags := $(common) -D_GNU_SOURCE -fPIC
unit_cflags := $(common) -D_GNU_SOURCE -I$(B)/gen -I. -Itools/mullctl -Itools/libmullctl \
	-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
fuzz_cflags := $(common) -D_GNU_SOURCE -I$(B)/gen -I. \
	-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all

objects = $(patsubst %,$(B)/obj/$(1)/%.o,$(basename $($(1)_src)))

all: $(B)/mullion.efi $(B)/mullctl $(B)/libmullctl.so.0 guests ## build the hypervisor, mullctl and the guests

define program
$(B)/obj/$(1)/%.o: %.c Makefile
	@mkdir -p $$(@D)
	$$(call say,CC,$$<)$$(CC) $($(1)_cflags) -c $$< -o $$@
$(B)/obj/$(1)/%.o: %.S Makefile
	@mkdir -p $$(@D)
	$$(call say,AS,$$<)$(CC) $($(1)_cflags) -c $$< -o $$@
endef
$(foreach p,hypervisor boot mullctl libmullctl unit guest fuzz,$(eval $(call program,$(p))))

# ---- the hypervisor --------------------------------------------------------
$(B)/mullion.elf: $(call objects,hypervisor) arch/x86/mullion.lds
	$(call say,LD,$@)ld -nostdlib -static -z max-page-size=4096 \
		-z noexecstack --no-warn-rwx-segments -T arch/x86/mullion.lds \
		$(call objects,hypervisor) \
		-L/usr/lib/x86_64-linux-gnu -lbearssl -o $@
	@tools/check_xmm.sh $@ && tools/check_branches.sh $@
$(call objects,hypervisor) $(call objects,unit): | $(B)/gen/guest_acpi.h $(B)/gen/font.h

# ACPI tables that guests get: compiled by iasl, embedded as C arrays.
$(B)/gen/guest_acpi.h: $(wildcard guests/acpi/*) include/mullion/guest.h
	@mkdir -p $(@D)
	$(call say,IASL,$@)guests/acpi/make_header.sh $(B)/gen
# The log's font on the framebuffer, from Debian's console-setup-linux.
$(B)/gen/font.h: drivers/make_font.py
	@mkdir -p $(@D)
	$(call say,FONT,$@)python3 drivers/make_font.py > $@.tmp && mv $@.tmp $@

# ---- the UEFI application --------------------------------------------------
$(B)/kernel_image.o: $(B)/mullion.elf
	@objcopy -S $< $(B)/kernel_image.elf
	$(call say,EMBED,$@)printf '.section .data\n.balign 4096\n.globl kernel_image,kernel_image_end\nkernel_image: .incbin "%s"\nkernel_image_end:\n.section .note.GNU-stack,"",@progbits\n' $(B)/kernel_image.elf | $(CC) -c -x assembler - -o $@
$(B)/mullion.efi: $(call objects,boot) $(B)/kernel_image.o
	$(call say,EFI,$@)ld -nostdlib -shared -Bsymbolic -znocombreloc \
		-znoexecstack -T /usr/lib/elf_x86_64_efi.lds \
		/usr/lib/crt0-efi-x86_64.o $^ /usr/lib/libgnuefi.a -o $(B)/boot.so
	@objcopy -j .text -j .sdata -j .data -j .dynamic -j .dynsym -j .rel \
		-j .rela -j '.rel.*' -j '.rela.*' -j .reloc \
		--target efi-app-x86_64 --subsystem=10 $(B)/boot.so $@

# ---- the tool and its library ----------------------------------------------
$(B)/libmullctl.a: $(call objects,libmullctl)
	@rm -f $@
	$(call say,AR,$@)ar rcs $@ $^
$(B)/libmullctl.so.0: $(call objects,libmullctl) tools/libmullctl/exports
	$(call say,LD,$@)$(CC) -shared -Wl,-soname,libmullctl.so.0 \
		-Wl,--version-script=tools/libmullctl/exports $(filter %.o,$^) -lbearssl -o $@
$(B)/mullctl: $(call objects,mullctl) $(B)/libmullctl.a
	$(call say,LD,$@)$(CC) $^ -lyaml -lcrypto -lz -llz4 -lncurses -ltinfo -lbearssl -o $@

PREFIX ?= /usr/local
to = $(DESTDIR)$(PREFIX)
install: all ## copy mullctl, its library and the hypervisor to PREFIX
	@install -d $(to)/bin $(to)/lib/pkgconfig $(to)/include/mullion \
		$(to)/share/man/man1 $(to)/share/mullion \
		$(to)/share/bash-completion/completions \
		$(to)/share/zsh/site-functions
	install $(B)/mullctl $(to)/bin
	install -m 644 $(B)/libmullctl.a $(B)/libmullctl.so.0 $(to)/lib
	ln -sf libmullctl.so.0 $(to)/lib/libmullctl.so
	install -m 644 tools/libmullctl/mullctl.h $(to)/include
	install -m 644 $(addprefix include/mullion/,channel.h control.h error.h package.h) $(to)/include/mullion
	sed 's|@PREFIX@|$(PREFIX)|;s|@VERSION@|$(VERSION)|' tools/libmullctl/mullctl.pc > $(to)/lib/pkgconfig/mullctl.pc
	$(B)/mullctl man > $(to)/share/man/man1/mullctl.1
	$(B)/mullctl completion bash > $(to)/share/bash-completion/completions/mullctl
	$(B)/mullctl completion zsh > $(to)/share/zsh/site-functions/_mullctl
	install -m 644 $(B)/mullion.efi $(to)/share/mullion

# ---- guests ----------------------------------------------------------------
sdk_objects := $(patsubst %,$(B)/obj/guest/%.o,$(basename $(wildcard guests/sdk/*.c guests/sdk/*.S)))
guests: $(patsubst %,$(B)/guests/%.elf,$(guests)) ## build the SDK guests
# A guest is guests/X.c, with the files of guests/X/ where it has such a folder.
.SECONDEXPANSION:
guest_parts = $(patsubst %,$(B)/obj/guest/%.o,$(basename $(wildcard guests/$(1)/*.[cS])))
$(B)/guests/%.elf: $(B)/obj/guest/guests/%.o $$(call guest_parts,$$*) $(sdk_objects) guests/sdk/guest.lds
	@mkdir -p $(@D)
	$(call say,LD,$@)ld -nostdlib -static -z noexecstack --no-warn-rwx-segments -T guests/sdk/guest.lds \
		$(filter %.o,$^) -o $@

# One of 32 bits and without the SDK, for the loaders that start such kernels.
boot32_objects := $(patsubst guests/boot32/%,$(B)/obj/boot32/%.o,$(basename $(wildcard guests/boot32/*.[cS])))
$(B)/obj/boot32/%.o: guests/boot32/%.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) -m32 $(common) $(freestanding) -fno-pic -c $< -o $@
$(B)/obj/boot32/%.o: guests/boot32/%.S Makefile
	@mkdir -p $(@D)
	$(call say,AS,$<)$(CC) -m32 $(common) -c $< -o $@
guests: $(B)/guests/boot32.multiboot
$(B)/guests/boot32.multiboot: $(boot32_objects) guests/boot32/boot32.lds
	@mkdir -p $(@D)
	$(call say,LD,$@)ld -m elf_i386 -nostdlib -static -z noexecstack --no-warn-rwx-segments \
		-z max-page-size=4096 -T guests/boot32/boot32.lds $(filter %.o,$^) -o $@

# ---- unit tests ------------------------------------------------------------
$(B)/unit/libunit.a: $(call objects,unit)
	@mkdir -p $(@D)
	@rm -f $@
	$(call say,AR,$@)ar rcs $@ $^
$(B)/unit/test_%: $(B)/obj/unit/tests/unit/test_%.o $(B)/unit/libunit.a
	$(call say,LD,$@)$(CC) -fsanitize=address,undefined $(filter %.o,$^) $(B)/unit/libunit.a -lcmocka -lyaml -lcrypto -lz -lncurses -ltinfo -lbearssl -llz4 -o $@
# Runs the entry code itself, up to the instructions that a host refuses.
$(B)/unit/test_mitigation_patch: $(patsubst %,$(B)/obj/unit/arch/x86/%.o, \
	mitigation_patch mitigation_code vmx/vmx_enter svm/svm_enter)
unit: $(addprefix $(B)/unit/,$(unit_tests)) ## unit tests on the host (seconds)
	@for t in $^; do ./$$t || exit 1; done

# ---- fuzzers ---------------------------------------------------------------
# libFuzzer is clang's; so this is also the kernel's pure half through clang.
$(B)/obj/fuzz/%.o: CC := clang
# Traced comparisons find magic numbers in files; what a guest does has none, and
# a case of it takes twice as long with them.
untraced := $(addprefix $(B)/obj/fuzz/,arch/fake/% tests/fuzz/% $(addprefix kernel/,devices/% memory/% net/% partition/%))
$(filter $(untraced),$(call objects,fuzz)) $(B)/obj/fuzz/tests/fuzz/%.o: CC := clang -fno-sanitize-coverage=trace-cmp
$(call objects,fuzz): | $(B)/gen/guest_acpi.h $(B)/gen/font.h
$(B)/fuzz/libfuzz.a: $(call objects,fuzz)
	@mkdir -p $(@D)
	@rm -f $@
	$(call say,AR,$@)ar rcs $@ $^
$(B)/fuzz/fuzz_%: $(B)/obj/fuzz/tests/fuzz/fuzz_%.o $(B)/fuzz/libfuzz.a
	$(call say,LD,$@)clang -fsanitize=fuzzer,address,undefined $^ \
		-lbearssl -llz4 -o $@

CASES ?= 10000000
fuzz-long: $(addprefix $(B)/fuzz/,$(fuzz_tests)) ## so many CASES of each device's fuzzer (hours)
	@tests/fuzz/long.py --build $(B) --cases $(CASES)

# ---- what run and test need first ------------------------------------------
# KERNELS=FOLDER keeps the downloaded kernels outside of build/.
KERNELS ?= $(B)/kernels
setup: # packages of this computer, and the stock kernels
	@tools/setup.sh
	@mkdir -p $(B) $(KERNELS)
	@test -e $(B)/kernels || ln -s $(abspath $(KERNELS)) $(B)/kernels
	@guests/linux/fetch.sh $(B)/kernels
	@guests/foreign/fetch.sh $(B)/kernels
$(B)/demo.cpio.gz: $(wildcard guests/linux/*) $(wildcard $(B)/kernels/*/SHA256)
	$(call say,CPIO,$@)guests/linux/make_initramfs.sh $@ $(B)/kernels
# The same, with a kernel to be started from inside.
$(B)/kexec.cpio.gz: $(B)/demo.cpio.gz guests/linux/add_kernel.sh
	$(call say,CPIO,$@)guests/linux/add_kernel.sh $@ $< $(B)/kernels/cloud-amd64/vmlinuz
# What a loader for PVH starts.
$(B)/vmlinux: guests/linux/extract_vmlinux.py $(wildcard $(B)/kernels/cloud-amd64/SHA256)
	$(call say,EXTRACT,$@)guests/linux/extract_vmlinux.py $(B)/kernels/cloud-amd64/vmlinuz $@
test-files: all $(B)/demo.cpio.gz $(B)/kexec.cpio.gz $(B)/vmlinux $(addprefix $(B)/unit/,$(unit_tests)) \
	$(addprefix $(B)/fuzz/,$(fuzz_tests))
# Starts over, so that what the set-up has brought is seen.
again = $(MAKE) --no-print-directory $(if $(findstring j,$(MAKEFLAGS)),,-j$(shell nproc))

# ---- running ---------------------------------------------------------------
demo := guests/linux/demo.yaml
run: setup ## the demonstration in QEMU: a stock Linux with a shell, and a counter
	@$(again) all $(B)/demo.cpio.gz
	@echo "Ctrl-] q ends it, Ctrl-] ? shows other keys."
	@$(B)/mullctl run $(demo) || test $$? -eq 130 # left by Ctrl-] q
gdb: setup ## the same, stopped in gdb where the kernel begins
	@$(again) all $(B)/demo.cpio.gz
	@tools/gdb.sh $(B) $(demo)

# ---- tests -----------------------------------------------------------------
no_build = { echo "the build failed"; echo "0 passed, 1 failed"; exit 1; }
test: setup ## everything that gives a verdict (some minutes)
	@$(again) -k test-files || $(no_build)
	@tests/system/run.py --build $(B)
test-all: setup ## the same, and what takes longer
	@$(again) -k test-files || $(no_build)
	@tests/system/run.py --build $(B) --all
# SOAK_SECONDS of the machine's time; and a minute without exits, in Bochs.
SOAK_SECONDS ?= 7200
soak: setup ## four VMs under load for two hours, a minute of silence (a quarter of an hour)
	@$(again) -k test-files || $(no_build)
	@SOAK_SECONDS=$(SOAK_SECONDS) SILENCE_SECONDS=60 tests/system/run.py \
		--build $(B) --all --only '^(soak|silence)$$'

# ---- measuring -------------------------------------------------------------
bench: setup ## count instructions: exits, requests, starts on both back ends, a boot of Linux (half an hour)
	@$(again) all $(B)/demo.cpio.gz
	@tests/bench/exits.py
	@tests/bench/switches.py
	@tests/bench/packets.py
	@tests/bench/disk_requests.py
	@tests/bench/boot_cost.py
	@tests/bench/start_cost.py
	@tests/bench/figures.py compare
bench-peers: setup ## the same guests under Mullion and under KVM, side by side (half an hour)
	@$(again) all $(B)/demo.cpio.gz
	@tests/bench/peers.py
	@tests/bench/figures.py compare
bench-scale: setup ## 1 to 64 CPUs with as many partitions: start, memory, commands (minutes)
	@$(again) all
	@tests/bench/scale.py
	@tests/bench/figures.py compare

# ---- lint ------------------------------------------------------------------
c_files := $(wildcard $(addsuffix /*.[ch],arch/* arch/*/* boot drivers guests \
	guests/* include/* kernel kernel/* tests/* tools/*))
shell_files := $(wildcard .ci/run tools/*.sh guests/*.sh guests/*/*.sh) \
	$(addprefix guests/linux/,init network processors selftest soak suspend) tests/bench/kvm_host_init.sh
lint: lint-format lint-layers lint-clang lint-cppcheck lint-shell lint-budget lint-tour lint-figures ## look for what the tests do not see
lint-format:
	@clang-format --dry-run -Werror $(c_files)
lint-layers: $(B)/gen/guest_acpi.h $(B)/gen/font.h
	@tools/check_layers.sh $(B)
# Clang's warnings beside gcc's.  Dependencies are gcc's business.
clang_flags = $(filter-out -MMD -MP -maccumulate% -mindirect-branch%,$(1))
lint-clang: $(B)/gen/guest_acpi.h $(B)/gen/font.h
	@clang $(call clang_flags,$(hypervisor_cflags)) -Wno-unknown-attributes -fsyntax-only $(filter %.c,$(hypervisor_src))
	@clang $(call clang_flags,$(boot_cflags)) -fsyntax-only $(boot_src)
	@clang $(call clang_flags,$(mullctl_cflags)) -fsyntax-only $(mullctl_src) $(libmullctl_src)
lint-cppcheck:
	@cppcheck -q --error-exitcode=1 --inline-suppr --std=c11 -Iinclude \
		--enable=warning,performance,portability \
		--suppressions-list=tools/cppcheck.txt \
		arch boot drivers guests kernel tools
lint-shell:
	@shellcheck -x $(shell_files)
lint-budget:
	@tools/budget.py
lint-tour: # what the documents name must be there
	@tools/check_tour.sh
lint-figures: # the tables of performance.md are those of docs/bench.json
	@tests/bench/figures.py check

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' Makefile

clean: ## remove what was built
	rm -rf $(B)

.PHONY: all install guests unit fuzz-long help clean setup test-files run gdb test test-all soak bench bench-peers bench-scale \
	lint lint-format lint-layers lint-clang lint-cppcheck lint-shell \
	lint-budget lint-tour lint-figures
.DELETE_ON_ERROR:
.SECONDARY:
-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
