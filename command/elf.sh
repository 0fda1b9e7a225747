# SPDX-License-Identifier: Apache-2.0
# What the headers of an ELF file say.

# numbers_at FILE OFFSET FORMAT...: little-endian numbers of a file on one line. FORMAT:
# OFFSET:BYTES of each, in the piece that begins at OFFSET. By od, for machines without readelf.
numbers_at() {
	file=$1 from=$2
	shift 2
	od -An -v -tu1 -j "$from" -N 64 -- "$file" 2>/dev/null | c_awk -v formats="$*" '
		{ for (i = 1; i <= NF; i++) at[count++] = $i }
		END {
			for (i = 1; i <= split(formats, format, " "); i++) {
				split(format[i], part, ":")
				n = 0
				while (part[2]-- > 0)
					n = n * 256 + at[part[1] + part[2]]
				printf "%.0f ", n
			}
		}'
}

# Sets class (32, 64), machine and interpreter (empty: a static program) of an ELF file; false: it
# is none, or of big-endian numbers.
read_elf() {
	interpreter=''
	read -r magic class order machine <<-NUMBERS
		$(numbers_at "$1" 0 0:4 4:1 5:1 18:2)
	NUMBERS
	[ "$magic$order" = 11794036471 ] || return 1 # "\177ELF"
	if [ "$class" = 2 ]; then
		class=64 header=32:8 sizes='54:2 56:2' segment='0:4 8:8 32:8'
	else
		class=32 header=28:4 sizes='42:2 44:2' segment='0:4 4:4 16:4'
	fi
	# shellcheck disable=SC2086 # words
	read -r header size count <<-NUMBERS
		$(numbers_at "$1" 0 $header $sizes)
	NUMBERS
	while [ "$count" -gt 0 ] && [ -z "$interpreter" ]; do
		# shellcheck disable=SC2086 # words
		read -r type offset bytes <<-NUMBERS
			$(numbers_at "$1" "$header" $segment)
		NUMBERS
		[ "$type" != 3 ] || interpreter=$(dd if="$1" bs=1 skip="$offset" count="$bytes" \
			2>/dev/null | LC_ALL=C tr -cd '!-~')
		header=$((header + size)) count=$((count - 1))
	done
	return 0
}

machine_name() {
	case $1 in
	3) echo x86 ;;
	40) echo ARM ;;
	62) echo x86-64 ;;
	183) echo AArch64 ;;
	243) echo RISC-V ;;
	*) echo "machine $1" ;;
	esac
}
