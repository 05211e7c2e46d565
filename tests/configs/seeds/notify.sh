#!/bin/bash
contact='root@localhost'
notify() {
    mailsubject="$HOSTNAME to be $1: vip 转移"
    mailbody="$(date +'%F %T'): vrrp 状态切换, $HOSTNAME changed to be $1"
    echo "$mailbody" | mail -s "$mailsubject" $contact
}
case $1 in
master)
    notify master
    exit 0
    ;;
backup)
    notify backup
    exit 0
    ;;
fault)
    notify fault
    exit 0
    ;;
*)
    echo "Usage: $(basename $0) {master|backup|fault}"
    exit 1
    ;;
esac
