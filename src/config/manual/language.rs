//! What the manual page says about the language itself: not in the tables, since the preprocessor does it.

/// Heading, and paragraphs; a paragraph that begins with a blank is shown as it is.
pub(super) const LANGUAGE: &[(&str, &[&str])] = &[
    (
        "Lines, words and blocks",
        &[
            "A line is a keyword and its words, separated by blanks. '#' and '!' begin a comment, anywhere outside double quotes; '\\#' and '\\!' are the characters themselves. \"Several words\" in double quotes are one word. Case matters.",
            "A block is a keyword, often a name, and lines between '{' and '}'. Braces may stand on lines of their own or share them. There is no limit of the length of a line but 1 MB after substitution (keepalived: 1024 bytes).",
        ],
    ),
    (
        "Scripts",
        &[
            "A script is a path, or a path and its arguments in quotes: \"/path/to/script arg 'one argument' \\\"x\\\"\". Both kinds of quotes group; the escapes \\a \\b \\E \\f \\n \\r \\t \\v \\NNN (octal) \\xHH \\cC and \\ before any other character hold. The words after it are the user and the group; ':' before the group means the user's supplementary groups too.",
        ],
    ),
    (
        "Other files",
        &[
            "include PATTERN reads the files that glob(7) with braces finds, relative to the directory of the file that says so. Directories and files that somebody may execute are left out. includer, includem, includew, includeb and includea fail when a file cannot be read, a name is not there, a wildcard finds nothing, an alternative of a brace finds nothing, or any of these; include_check in global_defs says the same for the includes after it, until the end of its file; so does the option -e for all of them.",
        ],
    ),
    (
        "One file for several hosts",
        &[
            "A line that begins with @ID is read when ID is the option -i, or else the host's name up to its first dot; one that begins with @^ID otherwise.",
            "     @node-a priority 150\n     @^node-a priority 100",
        ],
    ),
    (
        "Definitions",
        &[
            "$NAME=VALUE at the beginning of a line; then $NAME before a blank, a comma, ')' or the end of the line, and ${NAME} anywhere, stand for VALUE. A value that ends in a backslash goes on in the next line; it is put in where nothing follows its name. A name that is not defined stays as it is.",
            "Defined beforehand: ${_PWD} the file's directory, ${_INSTANCE} the ID of @ID, ${_RANDOM [MIN [MAX]]} a number (0 to 32767), ${_ENV NAME} the environment's NAME, ${_HASH} '#', ${_BANG} '!'.",
            "     $VIP=192.0.2.100\n     virtual_ipaddress {\n         ${VIP}/24\n     }",
        ],
    ),
    (
        "Sequences and lists",
        &[
            "~SEQ(NAME, [START,] [STEP,] END) TEXT is TEXT once for each number, which ${NAME} stands for; ~SEQx gives hexadecimal digits. ~LST(NAME, VALUE, ...) TEXT and ~LST({NAME,NAME}, {VALUE,VALUE}, ...) TEXT do it for each value. They may follow one another: the left is the outer. TEXT may be a definition of several lines.",
            "     ~SEQ(N, 1, 3) vrrp_instance VI_${N} { interface eth0 virtual_router_id ${N} }",
        ],
    ),
    (
        "What is wrong",
        &[
            "Every problem is told at once, with its place, the line, and a cure where there is one; a problem in a line that was substituted shows where it is used and where it is defined. keepalived -t does this without starting; keepalivedctl check finds what is allowed but unwise, too. A start goes on without what is wrong where keepalived would; a reload is refused whole.",
        ],
    ),
    (
        "TOML",
        &[
            "A file whose name ends in .toml says the same in TOML: a block is a table, a block with a name a table in a table, a list an array of strings (one a line), a keyword with several words an array, a flag true. keepalivedctl convert turns one form into the other; include = \"FILE\" is read before the rest, a table [[include]] with file = \"FILE\" where it stands, and the six keywords of includes are all known; keepalivedctl schema prints a JSON Schema.",
            "     [vrrp_instance.VI_1]\n     interface = \"eth0\"\n     virtual_router_id = 51\n     virtual_ipaddress = [\"192.0.2.100/24 dev eth0\"]",
        ],
    ),
];
