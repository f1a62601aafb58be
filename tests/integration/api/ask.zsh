# What zsh's completion offers: zsh -f ask.zsh SCRIPT LINES OFFERS
# SCRIPT is a completion to source, or a folder for fpath. Each line of LINES, without the dot that it ends with, is completed by
# an interactive zsh on a terminal of its own; OFFERS gets "= LINE" and the words offered, one a line.
# What the terminal shows goes to stdout.
if [[ ! -o interactive ]]; then
    zmodload zsh/zpty
    zpty asked zsh -f -i
    zpty -w asked "source ${(q)0:A} ${(qq)@}"
    zpty -w -n asked $'\t'
    while zpty -r asked; do :; done
    zpty -d asked
    return 0
fi

setopt no_beep
autoload -Uz compinit
[[ -d $1 ]] && fpath=($1 $fpath)
compinit -u -D
[[ -d $1 ]] || source $1
lines=$2 offers=$3

# Completion hands its words to compadd; calls with -O, -A or -D only ask it.
compadd() {
    if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then
        builtin compadd "$@"
        return
    fi
    local -a words_offered
    builtin compadd -A words_offered "$@"
    print -rl -- $words_offered >> $offers
    builtin compadd "$@"
}

complete-all() {
    local line
    while read -r line; do
        BUFFER=${line%.} CURSOR=$#BUFFER
        print -r -- "= $BUFFER" >> $offers
        zle list-choices
    done < $lines
    exit
}
zle -N complete-all
bindkey '^I' complete-all
