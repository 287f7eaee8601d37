"""The works a scenario stands on, so that a report can cite what was really used and nothing else."""

from typing import Final

from fedtiny.models.base import Pretraining
from fedtiny.results.record import Citation
from fedtiny.scenario.device_citations import device_citations
from fedtiny.scenario.schema import Scenario
from fedtiny.strategies.dga import DGA
from fedtiny.strategies.flower_private import PrivateFedAvg
from fedtiny.strategies.semi_synchronous import SemiSynchronous

_WORKS: Final[dict[str, tuple[str, str]]] = {
    "beutel2020flower": (
        "D. J. Beutel et al. Flower: A Friendly Federated Learning Research Framework. arXiv 2007.14390, 2020.",
        "@misc{beutel2020flower, title={Flower: A Friendly Federated Learning Research Framework}, author={Beutel, Daniel J. and others}, "
        "year={2020}, eprint={2007.14390}, archivePrefix={arXiv}}",
    ),
    "mcmahan2017fedavg": (
        "H. B. McMahan et al. Communication-Efficient Learning of Deep Networks from Decentralized Data. AISTATS 2017.",
        "@inproceedings{mcmahan2017fedavg, title={Communication-Efficient Learning of Deep Networks from Decentralized Data}, "
        'author={McMahan, Brendan and Moore, Eider and Ramage, Daniel and Hampson, Seth and Ag{\\"u}era y Arcas, Blaise}, '
        "booktitle={AISTATS}, year={2017}}",
    ),
    "zhu2021dga": (
        "L. Zhu, H. Lin, Y. Lu, Y. Lin, S. Han. Delayed Gradient Averaging: Tolerate the Communication Latency for Federated Learning. "
        "NeurIPS 2021.",
        "@inproceedings{zhu2021dga, title={Delayed Gradient Averaging: Tolerate the Communication Latency for Federated Learning}, "
        "author={Zhu, Ligeng and Lin, Hongzhou and Lu, Yao and Lin, Yujun and Han, Song}, booktitle={NeurIPS}, year={2021}}",
    ),
    "yin2018byzantine": (
        "D. Yin, Y. Chen, K. Ramchandran, P. Bartlett. Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates. "
        "ICML 2018.",
        "@inproceedings{yin2018byzantine, title={Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates}, author={Yin, "
        "Dong and Chen, Yudong and Ramchandran, Kannan and Bartlett, Peter}, booktitle={ICML}, year={2018}}",
    ),
    "hsu2019measuring": (
        "T.-M. H. Hsu, H. Qi, M. Brown. Measuring the Effects of Non-Identical Data Distribution for Federated Visual Classification. "
        "arXiv 1909.06335, 2019.",
        "@misc{hsu2019measuring, title={Measuring the Effects of Non-Identical Data Distribution for Federated Visual Classification}, "
        "author={Hsu, Tzu-Ming Harry and Qi, Hang and Brown, Matthew}, year={2019}, eprint={1909.06335}, archivePrefix={arXiv}}",
    ),
    "li2020fedprox": (
        "T. Li, A. K. Sahu, M. Zaheer, M. Sanjabi, A. Talwalkar, V. Smith. Federated Optimization in Heterogeneous Networks. MLSys 2020.",
        "@inproceedings{li2020fedprox, title={Federated Optimization in Heterogeneous Networks}, author={Li, Tian and Sahu, Anit Kumar and "
        "Zaheer, Manzil and Sanjabi, Maziar and Talwalkar, Ameet and Smith, Virginia}, booktitle={MLSys}, year={2020}}",
    ),
    "reddi2021adaptive": (
        "S. J. Reddi et al. Adaptive Federated Optimization. ICLR 2021.",
        "@inproceedings{reddi2021adaptive, title={Adaptive Federated Optimization}, author={Reddi, Sashank J. and Charles, Zachary and "
        "Zaheer, Manzil and Garrett, Zachary and Rush, Keith and Kone{\\v{c}}n{\\'y}, Jakub and Kumar, Sanjiv and McMahan, H. Brendan}, "
        "booktitle={ICLR}, year={2021}}",
    ),
    "blanchard2017krum": (
        "P. Blanchard, E. M. El Mhamdi, R. Guerraoui, J. Stainer. Machine Learning with Adversaries: Byzantine Tolerant Gradient Descent. "
        "NeurIPS 2017.",
        "@inproceedings{blanchard2017krum, title={Machine Learning with Adversaries: Byzantine Tolerant Gradient Descent}, "
        "author={Blanchard, Peva and El Mhamdi, El Mahdi and Guerraoui, Rachid and Stainer, Julien}, booktitle={NeurIPS}, year={2017}}",
    ),
    "elmhamdi2018bulyan": (
        "E. M. El Mhamdi, R. Guerraoui, S. Rouault. The Hidden Vulnerability of Distributed Learning in Byzantium. ICML 2018.",
        "@inproceedings{elmhamdi2018bulyan, title={The Hidden Vulnerability of Distributed Learning in Byzantium}, author={El Mhamdi, "
        "El Mahdi and Guerraoui, Rachid and Rouault, S{\\'e}bastien}, booktitle={ICML}, year={2018}}",
    ),
    "li2020qfedavg": (
        "T. Li, M. Sanjabi, A. Beirami, V. Smith. Fair Resource Allocation in Federated Learning. ICLR 2020.",
        "@inproceedings{li2020qfedavg, title={Fair Resource Allocation in Federated Learning}, author={Li, Tian and Sanjabi, Maziar and "
        "Beirami, Ahmad and Smith, Virginia}, booktitle={ICLR}, year={2020}}",
    ),
    "xie2019fedasync": (
        "C. Xie, S. Koyejo, I. Gupta. Asynchronous Federated Optimization. arXiv 1903.03934, 2019.",
        "@misc{xie2019fedasync, title={Asynchronous Federated Optimization}, author={Xie, Cong and Koyejo, Sanmi and Gupta, Indranil}, "
        "year={2019}, eprint={1903.03934}, archivePrefix={arXiv}}",
    ),
    "nguyen2022fedbuff": (
        "J. Nguyen et al. Federated Learning with Buffered Asynchronous Aggregation. AISTATS 2022.",
        "@inproceedings{nguyen2022fedbuff, title={Federated Learning with Buffered Asynchronous Aggregation}, author={Nguyen, John and "
        "Malik, Kshitiz and Zhan, Hongyuan and Yousefpour, Ashkan and Rabbat, Mike and Malek, Mani and Huba, Dzmitry}, "
        "booktitle={AISTATS}, year={2022}}",
    ),
    "bonawitz2019scale": (
        "K. Bonawitz et al. Towards Federated Learning at Scale: System Design. MLSys 2019.",
        "@inproceedings{bonawitz2019scale, title={Towards Federated Learning at Scale: System Design}, "
        "author={Bonawitz, Keith and others}, booktitle={MLSys}, year={2019}}",
    ),
    "ho2013ssp": (
        "Q. Ho et al. More Effective Distributed ML via a Stale Synchronous Parallel Parameter Server. NeurIPS 2013.",
        "@inproceedings{ho2013ssp, title={More Effective Distributed {ML} via a Stale Synchronous Parallel Parameter Server}, author={Ho, "
        "Qirong and Cipar, James and Cui, Henggang and Kim, Jin Kyu and Lee, Seunghak and Gibbons, Phillip B. and Gibson, Garth A. and "
        "Ganger, Gregory R. and Xing, Eric P.}, booktitle={NeurIPS}, year={2013}}",
    ),
    "mcmahan2018private": (
        "H. B. McMahan, D. Ramage, K. Talwar, L. Zhang. Learning Differentially Private Recurrent Language Models. ICLR 2018.",
        "@inproceedings{mcmahan2018private, title={Learning Differentially Private Recurrent Language Models}, author={McMahan, H. Brendan "
        "and Ramage, Daniel and Talwar, Kunal and Zhang, Li}, booktitle={ICLR}, year={2018}}",
    ),
    "andrew2021clipping": (
        "G. Andrew, O. Thakkar, H. B. McMahan, S. Ramaswamy. Differentially Private Learning with Adaptive Clipping. NeurIPS 2021.",
        "@inproceedings{andrew2021clipping, title={Differentially Private Learning with Adaptive Clipping}, author={Andrew, Galen and "
        "Thakkar, Om and McMahan, H. Brendan and Ramaswamy, Swaroop}, booktitle={NeurIPS}, year={2021}}",
    ),
    "cai2020tinytl": (
        "H. Cai, C. Gan, L. Zhu, S. Han. TinyTL: Reduce Memory, Not Parameters for Efficient On-Device Learning. NeurIPS 2020.",
        "@inproceedings{cai2020tinytl, title={TinyTL: Reduce Memory, Not Parameters for Efficient On-Device Learning}, "
        "author={Cai, Han and Gan, Chuang and Zhu, Ligeng and Han, Song}, booktitle={NeurIPS}, year={2020}}",
    ),
    "cai2022netaug": (
        "H. Cai, C. Gan, J. Lin, S. Han. Network Augmentation for Tiny Deep Learning. ICLR 2022.",
        "@inproceedings{cai2022netaug, title={Network Augmentation for Tiny Deep Learning}, "
        "author={Cai, Han and Gan, Chuang and Lin, Ji and Han, Song}, booktitle={ICLR}, year={2022}}",
    ),
    "cai2020ofa": (
        "H. Cai, C. Gan, T. Wang, Z. Zhang, S. Han. Once-for-All: Train One Network and Specialize it for Efficient Deployment. ICLR 2020.",
        "@inproceedings{cai2020ofa, title={Once-for-All: Train One Network and Specialize it for Efficient Deployment}, author={Cai, Han "
        "and Gan, Chuang and Wang, Tianzhe and Zhang, Zhekai and Han, Song}, booktitle={ICLR}, year={2020}}",
    ),
    "lin2020mcunet": (
        "J. Lin, W.-M. Chen, Y. Lin, J. Cohn, C. Gan, S. Han. MCUNet: Tiny Deep Learning on IoT Devices. NeurIPS 2020.",
        "@inproceedings{lin2020mcunet, title={{MCUNet}: Tiny Deep Learning on {IoT} Devices}, author={Lin, Ji and Chen, Wei-Ming and "
        "Lin, Yujun and Cohn, John and Gan, Chuang and Han, Song}, booktitle={NeurIPS}, year={2020}}",
    ),
    "cai2019proxylessnas": (
        "H. Cai, L. Zhu, S. Han. ProxylessNAS: Direct Neural Architecture Search on Target Task and Hardware. ICLR 2019.",
        "@inproceedings{cai2019proxylessnas, title={ProxylessNAS: Direct Neural Architecture Search on Target Task and Hardware}, "
        "author={Cai, Han and Zhu, Ligeng and Han, Song}, booktitle={ICLR}, year={2019}}",
    ),
    "sandler2018mobilenetv2": (
        "M. Sandler et al. MobileNetV2: Inverted Residuals and Linear Bottlenecks. CVPR 2018.",
        "@inproceedings{sandler2018mobilenetv2, title={MobileNetV2: Inverted Residuals and Linear Bottlenecks}, "
        "author={Sandler, Mark and Howard, Andrew and Zhu, Menglong and Zhmoginov, Andrey and Chen, Liang-Chieh}, booktitle={CVPR}, "
        "year={2018}}",
    ),
    "tan2019efficientnet": (
        "M. Tan, Q. V. Le. EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks. ICML 2019.",
        "@inproceedings{tan2019efficientnet, title={EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks}, "
        "author={Tan, Mingxing and Le, Quoc V.}, booktitle={ICML}, year={2019}}",
    ),
    "lin2022ondevice": (
        "J. Lin, L. Zhu, W.-M. Chen, W.-C. Wang, C. Gan, S. Han. On-Device Training Under 256KB Memory. NeurIPS 2022.",
        "@inproceedings{lin2022ondevice, title={On-Device Training Under 256KB Memory}, author={Lin, Ji and Zhu, Ligeng and Chen, "
        "Wei-Ming and Wang, Wei-Chen and Gan, Chuang and Han, Song}, booktitle={NeurIPS}, year={2022}}",
    ),
    "akiba2019optuna": (
        "T. Akiba, S. Sano, T. Yanase, T. Ohta, M. Koyama. Optuna: A Next-generation Hyperparameter Optimization Framework. KDD 2019.",
        "@inproceedings{akiba2019optuna, title={Optuna: A Next-generation Hyperparameter Optimization Framework}, author={Akiba, Takuya "
        "and Sano, Shotaro and Yanase, Toshihiko and Ohta, Takeru and Koyama, Masanori}, booktitle={KDD}, year={2019}}",
    ),
    "bergstra2011algorithms": (
        "J. Bergstra, R. Bardenet, Y. Bengio, B. Kégl. Algorithms for Hyper-Parameter Optimization. NIPS 2011.",
        "@inproceedings{bergstra2011algorithms, title={Algorithms for Hyper-Parameter Optimization}, author={Bergstra, James and Bardenet, "
        "R{\\'e}mi and Bengio, Yoshua and K{\\'e}gl, Bal{\\'a}zs}, booktitle={NIPS}, year={2011}}",
    ),
    "ozaki2022multiobjective": (
        "Y. Ozaki, Y. Tanigaki, S. Watanabe, M. Nomura, M. Onishi. Multiobjective Tree-Structured Parzen Estimator. Journal of Artificial "
        "Intelligence Research 73, 2022.",
        "@article{ozaki2022multiobjective, title={Multiobjective Tree-Structured {P}arzen Estimator}, author={Ozaki, Yoshihiko and "
        "Tanigaki, Yuki and Watanabe, Shuhei and Nomura, Masahiro and Onishi, Masaki}, journal={Journal of Artificial Intelligence "
        "Research}, volume={73}, year={2022}}",
    ),
    "caldas2018leaf": (
        "S. Caldas et al. LEAF: A Benchmark for Federated Settings. arXiv 1812.01097, 2018.",
        "@misc{caldas2018leaf, title={LEAF: A Benchmark for Federated Settings}, author={Caldas, Sebastian and others}, year={2018}, "
        "eprint={1812.01097}, archivePrefix={arXiv}}",
    ),
    "choi2019temporal": (
        "S. Choi et al. Temporal Convolution for Real-time Keyword Spotting on Mobile Devices. Interspeech 2019.",
        "@inproceedings{choi2019temporal, title={Temporal Convolution for Real-time Keyword Spotting on Mobile Devices}, author={Choi, "
        "Seungwoo and Seo, Seokjun and Shin, Beomjun and Byun, Hyeongmin and Kersner, Martin and Kim, Beomsu and Kim, Dongyoung and Ha, "
        "Sungjoo}, booktitle={Interspeech}, year={2019}}",
    ),
    "jacob2018quantization": (
        "B. Jacob et al. Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference. CVPR 2018.",
        "@inproceedings{jacob2018quantization, title={Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only "
        "Inference}, author={Jacob, Benoit and others}, booktitle={CVPR}, year={2018}}",
    ),
    "wang2020fednova": (
        "J. Wang, Q. Liu, H. Liang, G. Joshi, H. V. Poor. Tackling the Objective Inconsistency Problem in Heterogeneous Federated "
        "Optimization. NeurIPS 2020.",
        "@inproceedings{wang2020fednova, title={Tackling the Objective Inconsistency Problem in Heterogeneous Federated Optimization}, "
        "author={Wang, Jianyu and Liu, Qinghua and Liang, Hao and Joshi, Gauri and Poor, H. Vincent}, booktitle={NeurIPS}, year={2020}}",
    ),
    "loshchilov2017sgdr": (
        "I. Loshchilov, F. Hutter. SGDR: Stochastic Gradient Descent with Warm Restarts. ICLR 2017.",
        "@inproceedings{loshchilov2017sgdr, title={SGDR: Stochastic Gradient Descent with Warm Restarts}, author={Loshchilov, Ilya and "
        "Hutter, Frank}, booktitle={ICLR}, year={2017}}",
    ),
    "polyak1992averaging": (
        "B. T. Polyak, A. B. Juditsky. Acceleration of Stochastic Approximation by Averaging. SIAM Journal on Control and Optimization "
        "30(4), 1992.",
        "@article{polyak1992averaging, title={Acceleration of Stochastic Approximation by Averaging}, author={Polyak, Boris T. and "
        "Juditsky, Anatoli B.}, journal={SIAM Journal on Control and Optimization}, volume={30}, number={4}, year={1992}}",
    ),
    "xiao2017fashion": (
        "H. Xiao, K. Rasul, R. Vollgraf. Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms. "
        "arXiv 1708.07747, 2017.",
        "@misc{xiao2017fashion, title={Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms}, author={Xiao, "
        "Han and Rasul, Kashif and Vollgraf, Roland}, year={2017}, eprint={1708.07747}, archivePrefix={arXiv}}",
    ),
    "alpaydin1998digits": (
        "E. Alpaydin, C. Kaynak. Optical Recognition of Handwritten Digits. UCI Machine Learning Repository, 1998.",
        "@misc{alpaydin1998digits, title={Optical Recognition of Handwritten Digits}, author={Alpaydin, Ethem and Kaynak, Cenk}, "
        "year={1998}, howpublished={UCI Machine Learning Repository}}",
    ),
}

_USED_BY: Final[dict[tuple[str, str], tuple[str, str]]] = {
    ("strategy", "fedasync"): ("xie2019fedasync", "strategy fedasync"),
    ("strategy", "fedbuff"): ("nguyen2022fedbuff", "strategy fedbuff"),
    ("strategy", "semi_synchronous"): ("bonawitz2019scale", "strategy semi_synchronous"),
    ("strategy", "fedavg"): ("mcmahan2017fedavg", "strategy fedavg"),
    ("strategy", "dga"): ("zhu2021dga", "strategy dga"),
    ("strategy", "fedmedian"): ("yin2018byzantine", "strategy fedmedian"),
    ("strategy", "fedtrimmedavg"): ("yin2018byzantine", "strategy fedtrimmedavg"),
    ("strategy", "fedavgm"): ("hsu2019measuring", "strategy fedavgm"),
    ("strategy", "fedprox"): ("li2020fedprox", "strategy fedprox"),
    ("strategy", "fedadagrad"): ("reddi2021adaptive", "strategy fedadagrad"),
    ("strategy", "fedadam"): ("reddi2021adaptive", "strategy fedadam"),
    ("strategy", "fedyogi"): ("reddi2021adaptive", "strategy fedyogi"),
    ("strategy", "krum"): ("blanchard2017krum", "strategy krum"),
    ("strategy", "multikrum"): ("blanchard2017krum", "strategy multikrum"),
    ("strategy", "bulyan"): ("elmhamdi2018bulyan", "strategy bulyan"),
    ("strategy", "qfedavg"): ("li2020qfedavg", "strategy qfedavg"),
    ("strategy", "private_fedavg"): ("mcmahan2018private", "strategy private_fedavg"),
    ("update", "tinytl"): ("cai2020tinytl", "update tinytl, memory accounting"),
    ("update", "sparse"): ("lin2022ondevice", "update sparse"),
    ("model", "proxylessnas_mobile"): ("cai2019proxylessnas", "model proxylessnas_mobile"),
    ("model", "mobilenet_v2"): ("sandler2018mobilenetv2", "model mobilenet_v2"),
    ("model", "mobilenet_v2_w035"): ("lin2022ondevice", "model mobilenet_v2_w035"),
    ("model", "mcunet_5fps"): ("lin2022ondevice", "model mcunet_5fps"),
    ("model", "proxylessnas_w03"): ("lin2022ondevice", "model proxylessnas_w03"),
    ("model", "char_lstm"): ("caldas2018leaf", "model char_lstm"),
    ("model", "keyword_cnn"): ("choi2019temporal", "model keyword_cnn"),
    ("model", "efficientnet_lite0"): ("tan2019efficientnet", "model efficientnet_lite0"),
    ("data", "fashion_mnist"): ("xiao2017fashion", "data fashion_mnist"),
    ("data", "digits"): ("alpaydin1998digits", "data digits"),
}


def citations_of(scenario: Scenario) -> list[Citation]:
    """What a scenario uses, each work once: Flower, TinyTL for its memory accounting, and the sources of its devices and networks."""
    used = {"beutel2020flower": "strategies and messages", "cai2020tinytl": "memory accounting"}
    for family in ("strategy", "update", "model", "data"):
        key_and_reason = _USED_BY.get((family, getattr(scenario, family).kind))
        if key_and_reason is not None:
            key, reason = key_and_reason
            used[key] = reason if used.get(key, "") in reason else f"{used[key]}, {reason}"
    used |= _used_by_options(scenario)
    if isinstance(scenario.strategy, SemiSynchronous) and scenario.strategy.most_staleness is not None:
        used["ho2013ssp"] = "staleness bound"
    if isinstance(scenario.strategy, PrivateFedAvg) and scenario.strategy.clipping.kind == "adaptive":
        used["andrew2021clipping"] = "adaptive clipping"
    if getattr(scenario.model, "quantization", None) is not None:
        used["jacob2018quantization"] = "quantisation to int8"
        used["lin2022ondevice"] = ", ".join(filter(None, [used.get("lin2022ondevice"), "training of an int8 network"]))
    works = [Citation(key=key, text=_WORKS[key][0], bibtex=_WORKS[key][1], why=why) for key, why in used.items()]
    return works + device_citations(scenario)


def work(key: str, why: str) -> Citation:
    """One work of the register, and what it is used for."""
    return Citation(key=key, text=_WORKS[key][0], bibtex=_WORKS[key][1], why=why)


def search_citations(objectives: int) -> list[Citation]:
    """What a search with so many objectives uses, beside what its runs do."""
    used = {"akiba2019optuna": "search", "bergstra2011algorithms": "proposals of the search"}
    if objectives > 1:
        used["ozaki2022multiobjective"] = "proposals for several objectives"
    return [Citation(key=key, text=_WORKS[key][0], bibtex=_WORKS[key][1], why=why) for key, why in used.items()]


def _used_by_options(scenario: Scenario) -> dict[str, str]:
    """What pre-training, training and strategy use beside what their kinds do."""
    used, strategy = {}, scenario.strategy
    if isinstance(scenario.model.pretrained, Pretraining) and scenario.model.pretrained.netaug is not None:
        used["cai2022netaug"] = "pre-training inside wider networks"
    if scenario.training.pace != "equal":
        used["wang2020fednova"] = f"pace {scenario.training.pace}"
    if scenario.training.optimizer.schedule.kind == "cosine":
        used["loshchilov2017sgdr"] = "schedule cosine"
    if isinstance(strategy, DGA) and strategy.server_average is not None:
        used["polyak1992averaging"] = f"server_average {strategy.server_average.kind}"
    return used
