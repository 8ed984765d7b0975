"""timm's architectures of every kind go through the whole life of a model, one small one of each."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import timm.data
import torch

from models_store.backbones import FAMILIES
from models_store.mirror import Mirror
from tests.models_store.backbones.finetuning import assert_fine_tunes
from tests.models_store.samples import photos

FAMILY = FAMILIES["timm"]
TRANSFORMERS = (
    *("aimv2_large_patch14_224", "beit_base_patch16_224", "beitv2_base_patch16_224", "cait_xxs24_224"),
    *("coat_lite_tiny", "convit_tiny", "crossvit_tiny_240", "davit_tiny", "deit_tiny_distilled_patch16_224"),
    *("deit3_small_patch16_224", "efficientformer_l1", "efficientformerv2_s0", "efficientvit_b0", "efficientvit_m0"),
    *("eva02_tiny_patch14_224", "flexivit_small", "gcvit_xxtiny", "hiera_tiny_224", "levit_128s", "mvitv2_tiny"),
    *("naflexvit_base_patch16_gap", "nest_tiny", "nextvit_small", "pit_ti_224", "pvt_v2_b0", "samvit_base_patch16_224"),
    *("swin_tiny_patch4_window7_224", "swinv2_tiny_window8_256", "swinv2_cr_tiny_224", "tiny_vit_5m_224"),
    *("tnt_s_legacy_patch16_224", "twins_pcpvt_small", "visformer_tiny", "vitamin_small_224", "volo_d1_224"),
    *("vit_tiny_patch16_224", "vit_tiny_r_s16_p8_224", "vit_base_patch32_clip_224", "vit_base_patch16_siglip_gap_224"),
    *("vit_relpos_small_patch16_224", "vit_small_patch14_dinov2", "vit_small_patch14_reg4_dinov2"),
    *("vit_small_patch16_dinov3", "xcit_nano_12_p16_224"),
)
CONVOLUTIONS = (
    *("convmixer_768_32", "convnext_atto", "convnextv2_atto", "cspresnet50", "densenet121", "dla34", "dm_nfnet_f0"),
    *("dpn48b", "eca_nfnet_l0", "ecaresnet26t", "efficientnet_b0", "ese_vovnet19b_dw", "fbnetc_100"),
    *("ghostnet_050", "hardcorenas_a", "hgnetv2_b0", "hrnet_w18_small", "inception_next_atto", "inception_resnet_v2"),
    *("inception_v4", "lcnet_050", "legacy_xception", "mambaout_femto", "mixnet_s", "mobilenetv1_100"),
    *("mobilenetv3_small_050", "mobilenetv4_conv_small", "mobileone_s0", "nf_regnet_b0", "rdnet_tiny", "regnetx_002"),
    *("regnety_002", "repghostnet_050", "repvgg_a0", "repvit_m0_9", "res2net50_14w_8s", "resnest14d", "resnet18d"),
    *("resnet26t", "resnetv2_50x1_bit", "resnext50_32x4d", "rexnet_100", "selecsls42b", "seresnet33ts", "skresnet18"),
    *("starnet_s050", "tf_efficientnet_lite0", "tf_efficientnetv2_b0", "tinynet_e", "tresnet_m", "vgg11"),
    *("xception41p",),
)
OTHERS = (
    *("caformer_s18", "coatnet_pico_rw_224", "edgenext_xx_small", "eca_botnext26ts_256", "fastvit_t8"),
    *("focalnet_tiny_srf", "gmlp_s16_224", "maxvit_rmlp_pico_rw_256", "mixer_s32_224", "mobilenetv4_hybrid_medium"),
    *("mobilevit_xxs", "mobilevitv2_050", "poolformer_s12", "poolformerv2_s12", "resmlp_12_224", "sequencer2d_s"),
    *("shvit_s1", "swiftformer_xs"),
)
QUICK = ("test_vit", "test_convnext", "test_efficientnet", "test_resnet", "mobilenetv4_conv_small", "starnet_s050")


def lives(name: str) -> None:
    """Its files are gone at the end."""
    with TemporaryDirectory() as temporary:
        backbone = FAMILY.load(name, None, Mirror(Path(temporary)), {})
        assert_fine_tunes(backbone, list(photos().values()), Path(temporary))


@pytest.mark.parametrize("name", QUICK)
def test_a_small_model_trains_is_stored_and_predicts(name: str) -> None:
    lives(name)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", sorted({*TRANSFORMERS, *CONVOLUTIONS, *OTHERS} - set(QUICK)))
def test_a_model_of_every_kind_trains_is_stored_and_predicts(name: str) -> None:
    lives(name)


@pytest.mark.parametrize(
    ("name", "tag", "size", "crop_mode"),
    [
        ("vit_small_patch14_dinov2", "lvd142m", 518, "center"),
        ("convnextv2_nano", "fcmae_ft_in22k_in1k_384", 384, "squash"),
        ("mobilenetv4_conv_small", "e1200_r224_in1k", 224, "center"),
        ("mobilenetv4_conv_small", "e3600_r256_in1k", 256, "center"),
    ],
)
def test_a_tag_decides_size_and_crop(name: str, tag: str, size: int, crop_mode: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    whole = timm.create_model(f"{name}.{tag}", pretrained=False)
    torch.save(whole.state_dict(), path)
    mirror = Mirror(tmp_path)
    mirror.add(f"timm/{name}", tag, path)
    backbone = FAMILY.load(name, tag, mirror, {})
    untyped: Any = timm.data
    config = untyped.resolve_model_data_config(whole)
    card = backbone.preprocessing.card()
    assert (card["crop"], card["crop_mode"]) == ([size, size], crop_mode)
    assert (tuple(card["mean"]), tuple(card["std"])) == (config["mean"], config["std"])
    assert card["interpolation"] == config["interpolation"]


def test_random_weights_are_built_for_the_size_of_the_default_tag(tmp_path: Path) -> None:
    backbone = FAMILY.load("vit_small_patch14_dinov2", None, Mirror(tmp_path), {})
    assert backbone.preprocessing.card()["crop"] == [518, 518]
