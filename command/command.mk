# SPDX-License-Identifier: Apache-2.0
# The command: one script of many parts, man pages that have its help texts, completion; included by
# the Makefile at the top, which has its variables.

COMMAND_PAGES := $(B)/pprofagent.1 $(B)/libpprofagent.7
COMMAND := $(B)/pprofagent $(COMMAND_PAGES)
COMMAND_BIN = $(DESTDIR)$(PREFIX)/bin/pprofagent
COMMAND_MAN = $(DESTDIR)$(PREFIX)/share/man
COMMAND_BASH = $(DESTDIR)$(PREFIX)/share/bash-completion/completions/pprofagent
COMMAND_ZSH = $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_pprofagent

$(B)/pprofagent: scripts/command $(wildcard command/*.sh) agent/base/launchers.c \
		agent/base/version.h
	$(say) COMMAND $@
	$(Q)mkdir -p $(@D)
	$(Q)scripts/command '$(LIBDIR)' >$@
	$(Q)chmod 755 $@

$(COMMAND_PAGES): $(B)/%: command/% scripts/command_page $(B)/pprofagent README.md
	$(say) PAGE $@
	$(Q)scripts/command_page $(B)/pprofagent $< >$@

# The script is written anew: it names LIBDIR.
.PHONY: install_command uninstall_command
install_command: $(COMMAND)
	$(Q)install -d $(dir $(COMMAND_BIN) $(COMMAND_BASH) $(COMMAND_ZSH)) \
		$(COMMAND_MAN)/man1 $(COMMAND_MAN)/man7
	scripts/command '$(LIBDIR)' >$(COMMAND_BIN) && chmod 755 $(COMMAND_BIN)
	install -m 644 $(B)/pprofagent.1 $(COMMAND_MAN)/man1/
	install -m 644 $(B)/libpprofagent.7 $(COMMAND_MAN)/man7/
	install -m 644 command/completion.bash $(COMMAND_BASH)
	install -m 644 command/completion.zsh $(COMMAND_ZSH)

uninstall_command:
	rm -f $(COMMAND_BIN) $(COMMAND_MAN)/man1/pprofagent.1 $(COMMAND_MAN)/man7/libpprofagent.7 \
		$(COMMAND_BASH) $(COMMAND_ZSH)
