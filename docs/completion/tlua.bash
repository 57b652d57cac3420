# Completion of tlua for bash; made by tools/command_line.lua (make docs), not by hand.
_tlua()
{
    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}
    local models="bert conformer convnext_tiny crnn deit_tiny_patch16_224 densenet121 efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4 efficientnet_lite0 efficientnet_lite1 efficientnet_lite2 efficientnet_lite3 efficientnet_lite4 gpt2 mel_cnn meshnet mobilenet_v2 mobilenet_v3_large mobilenet_v3_small resnet101 resnet152 resnet18 resnet18_3d resnet34 resnet50 speaker_lstm squeezenet1_1 unet unet3d vgg16 vgg16_bn vit_base_patch16_224 vit_small_patch16_224 wav2vec2_base wave_cnn yolov8l yolov8m yolov8n yolov8s yolov8x yolox_m yolox_nano yolox_s yolox_tiny"
    local fields="--accumulate --augment.blur --augment.brightness --augment.contrast --augment.crop --augment.crop_ratio --augment.cutmix --augment.elastic --augment.elastic_chance --augment.elastic_knots --augment.erase --augment.erase_noise --augment.erase_ratio --augment.erase_scale --augment.erase_value --augment.fill --augment.filter --augment.flip --augment.flip_rows --augment.flip_slices --augment.flip_vertical --augment.freq_masks --augment.freq_width --augment.gain --augment.gamma --augment.grey --augment.hsv --augment.hue --augment.mixup --augment.noise --augment.noise_chance --augment.off_last --augment.randaugment --augment.rotate --augment.saturation --augment.scale --augment.shear --augment.shift --augment.snr --augment.speed --augment.telephone --augment.time_masks --augment.time_share --augment.translate --augment.turn_chance --augment.value_chance --batchnorm --best --cache --cache.dtype --cache.folder --cache.limit --cache.views --checkpoint --clip --compare.limit --compare.minutes --compare.per_class --compare.pictures --compare.seeds --data --data.annotations --data.attributes --data.augment --data.background --data.batch --data.between --data.bottom --data.buckets --data.by --data.channels --data.classes --data.close_mosaic --data.count --data.cut --data.decode --data.doubles --data.drop_last --data.every --data.faults --data.file --data.fit --data.foreground --data.gaps --data.get --data.group --data.held_out --data.image --data.images --data.interpolation --data.keep --data.key --data.label --data.labels --data.least_visible --data.left --data.limit --data.longest --data.mask --data.masks --data.mean --data.minutes --data.mixup --data.mixup_scale --data.modality --data.mosaic --data.mosaic_rotate --data.mosaic_scale --data.mosaic_shear --data.mosaic_translate --data.multi_scale --data.nan --data.near --data.neighbours --data.normalise --data.on_bad --data.orientation --data.overlap --data.pair --data.part --data.parts --data.patch --data.patches --data.path --data.per_class --data.place --data.private --data.quantiles --data.quotes --data.rate --data.repeated --data.resize --data.rest --data.right --data.root --data.seconds --data.series --data.shortest --data.size --data.spacing --data.split --data.split_seed --data.std --data.stride --data.strip_corners --data.tag --data.target --data.test --data.test_annotations --data.test_images --data.test_labels --data.test_limit --data.test_values --data.text --data.threads --data.tiles --data.token --data.tokenizer --data.top --data.trim --data.unit --data.unmatched --data.validation --data.validation_annotations --data.validation_images --data.validation_labels --data.validation_values --data.value_names --data.values --data.windows --decay_all --device --ema --ema_ramp --freeze --frozen --head --keep --log --lora.alpha --lora.dropout --lora.from --lora.on --lora.rank --lora.rs --loss --loss.alpha --loss.background --loss.beta --loss.blank --loss.eps --loss.gamma --loss.ignore_index --loss.label_smoothing --loss.log --loss.over --loss.pos_weight --loss.reduction --loss.smooth --loss.weight --loss.zero_infinity --loss_scale --model --model.classes --model.drop_connect --model.dropout --model.image_size --model.in_channels --model.weights --model.weights_key --model.width --optim --optim.alpha --optim.betas --optim.centered --optim.eps --optim.lr --optim.momentum --optim.nesterov --optim.weight_decay --out --precision --recompute --scale_steps --schedule.div --schedule.epochs --schedule.every --schedule.final --schedule.freeze --schedule.gamma --schedule.layer_decay --schedule.least_steps --schedule.lowest --schedule.lr --schedule.patience --schedule.peak --schedule.per --schedule.rate --schedule.threshold --schedule.train --schedule.warmup --schedule.warmup_start --seed --stop_after --task --task.alpha --task.background --task.beam --task.beta --task.box_loss --task.box_weight --task.candidates --task.casing --task.choose --task.class_weight --task.confidence --task.digits --task.distribution_weight --task.focal --task.ignore --task.iou --task.l1 --task.language --task.longest_answer --task.most --task.per_class --task.positive --task.punctuation --task.sensitivity --task.several --task.share --task.specificity --task.strict --task.symbols --task.threshold --test_every --train --weights --weights.key"
    COMPREPLY=()
    compopt -o filenames 2>/dev/null
    if [[ $COMP_CWORD -eq 1 ]]; then
        if [[ $current == -* ]]; then COMPREPLY=($(compgen -W "-e -i --resume --profile --help --version" -- "$current"))
        else COMPREPLY=($(compgen -W "cache check compare devices eval explain export inspect lr models params predict report show tune verify watch help" -- "$current") $(compgen -f -X "!*.lua" -- "$current") $(compgen -d -- "$current")); fi
        return
    fi
    case "$command $before" in "predict --csv"|"watch --text") before= ;; esac
    case "$before" in
    --model) COMPREPLY=($(compgen -W "$models" -- "$current")); return ;;
    --optim) COMPREPLY=($(compgen -W "Adam AdamW LAMB Lion RMSprop SGD" -- "$current")); return ;;
    --loss) COMPREPLY=($(compgen -W "CrossEntropy FocalLoss MSELoss SmoothL1Loss BCEWithLogits SigmoidFocalLoss Dice Tversky CTCLoss" -- "$current")); return ;;
    --loss.over) COMPREPLY=($(compgen -W "all present" -- "$current")); return ;;
    --data.place) COMPREPLY=($(compgen -W "any start" -- "$current")); return ;;
    --data.quotes) COMPREPLY=($(compgen -W "auto yes no" -- "$current")); return ;;
    --data) COMPREPLY=($(compgen -W "boxes cifar10 cifar100 coco conll csv custom dicom fashion_mnist folder lines masks mnist nifti sounds spacing speech squad tensors texts voc yolo" -- "$current")); return ;;
    --data.parts) COMPREPLY=($(compgen -W "channels first" -- "$current")); return ;;
    --task) COMPREPLY=($(compgen -W "classify multilabel regress segment ctc verify tokens span causal masked detect" -- "$current")); return ;;
    --schedule.rate) COMPREPLY=($(compgen -W "constant step cosine one_cycle plateau" -- "$current")); return ;;
    --device) COMPREPLY=($(compgen -W "cpu gpu" -- "$current")); return ;;
    --task.symbols) COMPREPLY=($(compgen -W "data network" -- "$current")); return ;;
    --task.punctuation) COMPREPLY=($(compgen -W "drop keep" -- "$current")); return ;;
    --data.rest) COMPREPLY=($(compgen -W "error background ignored" -- "$current")); return ;;
    --data.gaps) COMPREPLY=($(compgen -W "error fill" -- "$current")); return ;;
    --data.repeated) COMPREPLY=($(compgen -W "error first" -- "$current")); return ;;
    --data.background) COMPREPLY=($(compgen -W "error keep skip" -- "$current")); return ;;
    --data.faults|--data.on_bad|--data.unmatched) COMPREPLY=($(compgen -W "error skip" -- "$current")); return ;;
    --data.nan) COMPREPLY=($(compgen -W "error zero" -- "$current")); return ;;
    --cache.dtype) COMPREPLY=($(compgen -W "float16 float32" -- "$current")); return ;;
    --frozen) COMPREPLY=($(compgen -W "float32 float16 bfloat16" -- "$current")); return ;;
    --precision) COMPREPLY=($(compgen -W "float32 mixed bfloat16" -- "$current")); return ;;
    --task.box_loss) COMPREPLY=($(compgen -W "iou iou_squared giou diou ciou" -- "$current")); return ;;
    --keep) COMPREPLY=($(compgen -W "last best" -- "$current")); return ;;
    --data.cut) COMPREPLY=($(compgen -W "longest first second" -- "$current")); return ;;
    --task.casing) COMPREPLY=($(compgen -W "lower keep" -- "$current")); return ;;
    --loss.reduction) COMPREPLY=($(compgen -W "mean sum none" -- "$current")); return ;;
    --augment.filter) COMPREPLY=($(compgen -W "nearest bilinear" -- "$current")); return ;;
    --data.interpolation) COMPREPLY=($(compgen -W "nearest box bilinear bicubic lanczos linear" -- "$current")); return ;;
    --freeze) COMPREPLY=($(compgen -W "none" -- "$current")); return ;;
    --task.l1) COMPREPLY=($(compgen -W "none closed always" -- "$current")); return ;;
    --data.augment) COMPREPLY=($(compgen -W "none flip standard" -- "$current")); return ;;
    --log) COMPREPLY=($(compgen -W "none tensorboard" -- "$current")); return ;;
    --data.by) COMPREPLY=($(compgen -W "patient study series file" -- "$current")); return ;;
    --data.unit) COMPREPLY=($(compgen -W "picture volume" -- "$current")); return ;;
    --boxes) COMPREPLY=($(compgen -W "raw decoded nms" -- "$current")); return ;;
    --task.digits) COMPREPLY=($(compgen -W "refuse keep drop" -- "$current")); return ;;
    --data.doubles) COMPREPLY=($(compgen -W "say apart drop off" -- "$current")); return ;;
    --by) COMPREPLY=($(compgen -W "series study patient" -- "$current")); return ;;
    --data.between) COMPREPLY=($(compgen -W "space nothing" -- "$current")); return ;;
    --schedule.per) COMPREPLY=($(compgen -W "step epoch" -- "$current")); return ;;
    --data.fit) COMPREPLY=($(compgen -W "stretch shorter letterbox" -- "$current")); return ;;
    --part) COMPREPLY=($(compgen -W "train test" -- "$current")); return ;;
    --augment.erase_noise|--data.buckets|--data.drop_last|--data.private|--decay_all|--lora.rs|--loss.background|--loss.log|--loss.zero_infinity|--optim.centered|--optim.nesterov|--task.background|--task.choose|--task.per_class|--task.several|--task.strict) COMPREPLY=($(compgen -W "true false" -- "$current")); return ;;
    --data.decode) COMPREPLY=($(compgen -W "whole reduced" -- "$current")); return ;;
    --data.normalise) COMPREPLY=($(compgen -W "zscore nonzero range quantiles none" -- "$current")); return ;;
    --augment.noise|--cache.folder|--csv|--data.annotations|--data.masks|--data.path|--data.root|--data.test|--data.test_annotations|--data.tokenizer|--data.validation_annotations|--folder|--known|--lora.from|--model.weights|--out|--resume|--svg|--to|--weights|--wrong) COMPREPLY=($(compgen -f -- "$current")); return ;;
    --accumulate|--address|--augment.blur|--augment.brightness|--augment.contrast|--augment.crop|--augment.crop_ratio|--augment.cutmix|--augment.elastic|--augment.elastic_chance|--augment.elastic_knots|--augment.erase|--augment.erase_ratio|--augment.erase_scale|--augment.erase_value|--augment.fill|--augment.flip|--augment.flip_rows|--augment.flip_slices|--augment.flip_vertical|--augment.freq_masks|--augment.freq_width|--augment.gain|--augment.gamma|--augment.grey|--augment.hsv|--augment.hue|--augment.mixup|--augment.noise_chance|--augment.off_last|--augment.randaugment|--augment.rotate|--augment.saturation|--augment.scale|--augment.shear|--augment.shift|--augment.snr|--augment.speed|--augment.telephone|--augment.time_masks|--augment.time_share|--augment.translate|--augment.turn_chance|--augment.value_chance|--batch|--batchnorm|--beam|--best|--cache|--cache.limit|--cache.views|--checkpoint|--class|--clip|--columns|--compare.limit|--compare.minutes|--compare.per_class|--compare.pictures|--compare.seeds|--confidence|--data.attributes|--data.batch|--data.bottom|--data.channels|--data.classes|--data.close_mosaic|--data.count|--data.every|--data.file|--data.foreground|--data.get|--data.group|--data.held_out|--data.image|--data.images|--data.keep|--data.key|--data.label|--data.labels|--data.least_visible|--data.left|--data.limit|--data.longest|--data.mask|--data.mean|--data.minutes|--data.mixup|--data.mixup_scale|--data.modality|--data.mosaic|--data.mosaic_rotate|--data.mosaic_scale|--data.mosaic_shear|--data.mosaic_translate|--data.multi_scale|--data.near|--data.neighbours|--data.orientation|--data.overlap|--data.pair|--data.part|--data.patch|--data.patches|--data.per_class|--data.quantiles|--data.rate|--data.resize|--data.right|--data.seconds|--data.series|--data.shortest|--data.size|--data.spacing|--data.split|--data.split_seed|--data.std|--data.stride|--data.strip_corners|--data.tag|--data.target|--data.test_images|--data.test_labels|--data.test_limit|--data.test_values|--data.text|--data.threads|--data.tiles|--data.token|--data.top|--data.trim|--data.validation|--data.validation_images|--data.validation_labels|--data.validation_values|--data.value_names|--data.values|--data.windows|--ema|--ema_ramp|--epoch|--from|--head|--layer|--lora.alpha|--lora.dropout|--lora.on|--lora.rank|--loss.alpha|--loss.beta|--loss.blank|--loss.eps|--loss.gamma|--loss.ignore_index|--loss.label_smoothing|--loss.pos_weight|--loss.smooth|--loss.weight|--loss_scale|--model.classes|--model.drop_connect|--model.dropout|--model.image_size|--model.in_channels|--model.weights_key|--model.width|--opset|--optim.alpha|--optim.betas|--optim.eps|--optim.lr|--optim.momentum|--optim.weight_decay|--pair|--pictures|--port|--rate|--recompute|--scale_steps|--schedule.div|--schedule.epochs|--schedule.every|--schedule.final|--schedule.freeze|--schedule.gamma|--schedule.layer_decay|--schedule.least_steps|--schedule.lowest|--schedule.lr|--schedule.patience|--schedule.peak|--schedule.threshold|--schedule.train|--schedule.warmup|--schedule.warmup_start|--seconds|--seed|--sizes|--stage|--steps|--stop_after|--task.alpha|--task.beam|--task.beta|--task.box_weight|--task.candidates|--task.class_weight|--task.confidence|--task.distribution_weight|--task.focal|--task.ignore|--task.iou|--task.language|--task.longest_answer|--task.most|--task.positive|--task.sensitivity|--task.share|--task.specificity|--task.threshold|--test_every|--text|--threads|--threshold|--tiles|--top|--train|--up_to|--values|--weights.key|--window) return ;;
    esac
    case "$command" in
    lr)
        if [[ $current == -* ]]; then COMPREPLY=($(compgen -W "--help --from --up_to --steps --stage --to --json $fields" -- "$current")); else COMPREPLY=($(compgen -f -X "!*.lua" -- "$current") $(compgen -d -- "$current")); fi ;;
    show)
        if [[ $current == -* ]]; then COMPREPLY=($(compgen -W "--help --to --pictures --columns --epoch --part $fields" -- "$current")); else COMPREPLY=($(compgen -f -X "!*.lua" -- "$current") $(compgen -d -- "$current")); fi ;;
    compare)
        if [[ $current == -* ]]; then COMPREPLY=($(compgen -W "--help $fields" -- "$current")); else COMPREPLY=($(compgen -f -X "!*.lua" -- "$current") $(compgen -d -- "$current")); fi ;;
    predict)
        if [[ $current == -* ]]; then COMPREPLY=($(compgen -W "--help --top --json --csv --by --text --pair --srt --vtt --beam --window --rate --confidence --tiles --to --flip --weights --weights.key --batch --threads --device --quiet" -- "$current")); else COMPREPLY=($(compgen -W "$models" -- "$current") $(compgen -f -- "$current")); fi ;;
    eval)
        if [[ $current == -* ]]; then COMPREPLY=($(compgen -W "--help --data --data.root --wrong --csv --report --json --flip --weights --weights.key --device" -- "$current")); else COMPREPLY=($(compgen -W "$models" -- "$current") $(compgen -f -- "$current")); fi ;;
    explain)
        if [[ $current == -* ]]; then COMPREPLY=($(compgen -W "--help --class --layer --to --weights --weights.key --batch --threads --device --quiet" -- "$current")); else COMPREPLY=($(compgen -W "$models" -- "$current") $(compgen -f -- "$current")); fi ;;
    verify)
        if [[ $current == -* ]]; then COMPREPLY=($(compgen -W "--help --known --threshold --json --weights --weights.key --batch --threads --device --quiet" -- "$current")); else COMPREPLY=($(compgen -W "$models" -- "$current") $(compgen -f -- "$current")); fi ;;
    export)
        if [[ $current == -* ]]; then COMPREPLY=($(compgen -W "--help --to --merge --opset --fold --normalize --boxes --weights --weights.key" -- "$current")); else COMPREPLY=($(compgen -W "$models" -- "$current") $(compgen -f -- "$current")); fi ;;
    watch)
        if [[ $current == -* ]]; then COMPREPLY=($(compgen -W "--help --text --once --port --address" -- "$current")); else COMPREPLY=($(compgen -f -- "$current")); fi ;;
    report)
        if [[ $current == -* ]]; then COMPREPLY=($(compgen -W "--help --to" -- "$current")); else COMPREPLY=($(compgen -f -- "$current")); fi ;;
    models)
        if [[ $current == -* ]]; then COMPREPLY=($(compgen -W "--help" -- "$current")); else :; fi ;;
    params)
        if [[ $current == -* ]]; then COMPREPLY=($(compgen -W "--help --freeze --train --json $fields" -- "$current")); else COMPREPLY=($(compgen -W "$models" -- "$current") $(compgen -f -- "$current")); fi ;;
    inspect)
        if [[ $current == -* ]]; then COMPREPLY=($(compgen -W "--help --svg --cut-points --sizes --values --json --device" -- "$current")); else COMPREPLY=($(compgen -f -- "$current")); fi ;;
    devices)
        if [[ $current == -* ]]; then COMPREPLY=($(compgen -W "--help --all --json" -- "$current")); else :; fi ;;
    cache)
        if [[ $current == -* ]]; then COMPREPLY=($(compgen -W "--help --folder" -- "$current")); else COMPREPLY=($(compgen -W "list clear" -- "$current")); fi ;;
    check)
        if [[ $current == -* ]]; then COMPREPLY=($(compgen -W "--help --device --seconds --roofline --json" -- "$current")); else :; fi ;;
    tune)
        if [[ $current == -* ]]; then COMPREPLY=($(compgen -W "--help --quick --show --clear --device" -- "$current")); else :; fi ;;
    -i) if [[ $current == -* ]]; then COMPREPLY=($(compgen -W "$fields" -- "$current")); else COMPREPLY=($(compgen -f -X "!*.lua" -- "$current") $(compgen -d -- "$current")); fi ;;
    *.lua|--resume) if [[ $current == -* ]]; then COMPREPLY=($(compgen -W "--help --resume --force --quiet --json --profile $fields" -- "$current")); else COMPREPLY=($(compgen -f -- "$current")); fi ;;
    esac
}
complete -F _tlua tlua
