# Runs one PgBouncer for as long as somebody wants it.
#
#   sh supervise-pgbouncer.sh FOLDER PROGRAM
#
# The end of the standard input means that nobody wants it any more, as in supervise.sh. Lines of the input,
# each answered by the file `done`:
#
#   start         with the file as it is now
#   signal NAME   to it

folder=$1 program=$2
umask 077
trap '' HUP INT
exec 3<&0 </dev/null

while read -r word name <&3; do
    case $word in
    start)
        rm -f "$folder/exited" "$folder/pid"
        {
            "$program" -q "$folder/pgbouncer.ini" >>"$folder/log" 2>&1 3<&- &
            echo $! >"$folder/pid"
            wait $!
            : >"$folder/exited"
        } 3<&- &
        run=$!
        until [ -s "$folder/pid" ]; do sleep 0.01; done
        read -r bouncer <"$folder/pid"
        ;;
    signal)
        kill -s "$name" "$bouncer"
        # Then nothing of it is in the way of the next.
        [ "$name" = KILL ] && wait "$run"
        ;;
    esac
    : >"$folder/done"
done

[ -e "$folder/exited" ] || kill -s KILL "$bouncer"
wait
rm -rf "$folder"
