"""The list of calls that the lab answers. Whatever is not here is refused: moto would often answer with success and do nothing.

Names as in AWS's API references, by the name that requests are signed for.
"""

from __future__ import annotations

from collections.abc import Mapping

REAL: Mapping[str, str] = {
    "ec2": """
        RunInstances StartInstances StopInstances RebootInstances TerminateInstances GetConsoleOutput
        DescribeInstances DescribeInstanceStatus DescribeInstanceAttribute ModifyInstanceAttribute ModifyInstanceMetadataOptions
        DescribeInstanceTypes DescribeInstanceTypeOfferings DescribeTags CreateTags DeleteTags
        CreateImage CopyImage DeregisterImage DescribeImages DescribeImageAttribute ModifyImageAttribute
        EnableImageDeprecation DisableImageDeprecation
        DescribeSnapshots DescribeSnapshotAttribute ModifySnapshotAttribute DeleteSnapshot DescribeVolumes
        CreateLaunchTemplate CreateLaunchTemplateVersion ModifyLaunchTemplate DeleteLaunchTemplate
        DescribeLaunchTemplates DescribeLaunchTemplateVersions
        CreateKeyPair ImportKeyPair DeleteKeyPair DescribeKeyPairs
        AssociateIamInstanceProfile DisassociateIamInstanceProfile ReplaceIamInstanceProfileAssociation
        DescribeIamInstanceProfileAssociations GetEbsEncryptionByDefault
        DescribeRegions DescribeAvailabilityZones DescribeVpcs DescribeVpcAttribute DescribeSubnets
        DescribeRouteTables DescribeInternetGateways DescribeNatGateways DescribeNetworkAcls DescribeNetworkInterfaces
        DescribeVpcEndpoints DescribeDhcpOptions DescribeAddresses DescribeSecurityGroups DescribeSecurityGroupRules
    """,
    "autoscaling": """
        CreateAutoScalingGroup UpdateAutoScalingGroup DeleteAutoScalingGroup SetDesiredCapacity DescribeAutoScalingGroups
        DescribeAutoScalingInstances DescribeScalingActivities
        DescribeTags CreateOrUpdateTags DeleteTags
        TerminateInstanceInAutoScalingGroup AttachInstances DetachInstances SetInstanceHealth SetInstanceProtection
        EnterStandby ExitStandby SuspendProcesses ResumeProcesses
        AttachLoadBalancerTargetGroups DetachLoadBalancerTargetGroups DescribeLoadBalancerTargetGroups DescribeLoadBalancers
        DescribeLifecycleHooks DescribePolicies DisableMetricsCollection
    """,
    "elasticloadbalancing": """
        CreateLoadBalancer DeleteLoadBalancer DescribeLoadBalancers DescribeLoadBalancerAttributes ModifyLoadBalancerAttributes
        SetSecurityGroups SetSubnets SetIpAddressType DescribeAccountLimits DescribeSSLPolicies
        CreateListener ModifyListener DeleteListener DescribeListeners DescribeListenerAttributes DescribeListenerCertificates
        CreateRule ModifyRule DeleteRule DescribeRules SetRulePriorities
        CreateTargetGroup ModifyTargetGroup DeleteTargetGroup DescribeTargetGroups DescribeTargetGroupAttributes
        ModifyTargetGroupAttributes RegisterTargets DeregisterTargets DescribeTargetHealth AddTags RemoveTags DescribeTags
    """,
    "ssm": """
        SendCommand CancelCommand ListCommands ListCommandInvocations GetCommandInvocation DescribeInstanceInformation
        CreateDocument UpdateDocument UpdateDocumentDefaultVersion DeleteDocument GetDocument DescribeDocument ListDocuments
        UpdateInstanceInformation StartSession ResumeSession TerminateSession DescribeSessions
        PutParameter GetParameter GetParameters GetParametersByPath GetParameterHistory DescribeParameters DeleteParameter
        DeleteParameters LabelParameterVersion UnlabelParameterVersion AddTagsToResource RemoveTagsFromResource ListTagsForResource
    """,
    "ec2-instance-connect": """
        SendSSHPublicKey
    """,
    "ec2messages": """
        GetMessages AcknowledgeMessage SendReply FailMessage DeleteMessage GetEndpoint
    """,
    "s3": """
        CreateBucket DeleteBucket HeadBucket ListBuckets GetBucketLocation ListObjects ListObjectsV2 ListObjectVersions
        GetObject HeadObject PutObject CopyObject DeleteObject DeleteObjects GetObjectAttributes
        CreateMultipartUpload UploadPart UploadPartCopy CompleteMultipartUpload AbortMultipartUpload ListParts ListMultipartUploads
        GetObjectTagging PutObjectTagging DeleteObjectTagging GetObjectAcl GetBucketAcl
        GetBucketVersioning PutBucketVersioning GetBucketTagging PutBucketTagging DeleteBucketTagging
        GetBucketEncryption GetBucketPolicy GetBucketOwnershipControls GetPublicAccessBlock
        GetObjectLockConfiguration GetBucketLogging GetBucketCors GetBucketLifecycleConfiguration
    """,
    "kms": """
        CreateKey DescribeKey ListKeys CreateAlias UpdateAlias DeleteAlias ListAliases EnableKey DisableKey ScheduleKeyDeletion
        CancelKeyDeletion Encrypt Decrypt ReEncrypt GenerateDataKey GenerateDataKeyWithoutPlaintext GetKeyPolicy PutKeyPolicy
        ListKeyPolicies ListGrants CreateGrant RevokeGrant RetireGrant EnableKeyRotation DisableKeyRotation GetKeyRotationStatus
        TagResource UntagResource ListResourceTags UpdateKeyDescription
    """,
    "secretsmanager": """
        CreateSecret GetSecretValue PutSecretValue UpdateSecret DeleteSecret RestoreSecret DescribeSecret ListSecrets
        ListSecretVersionIds GetRandomPassword TagResource UntagResource
    """,
    "acm": """
        ImportCertificate DeleteCertificate DescribeCertificate GetCertificate ListCertificates AddTagsToCertificate
        RemoveTagsFromCertificate ListTagsForCertificate
    """,
    "sts": """
        GetCallerIdentity AssumeRole
    """,
    "monitoring": """
        PutMetricData ListMetrics GetMetricStatistics GetMetricData
    """,
    "logs": """
        CreateLogGroup DeleteLogGroup DescribeLogGroups PutRetentionPolicy DeleteRetentionPolicy CreateLogStream DeleteLogStream
        DescribeLogStreams PutLogEvents GetLogEvents FilterLogEvents TagResource ListTagsForResource
    """,
    "xray": """
        PutTraceSegments GetTraceSummaries
    """,
    "tagging": """
        GetResources GetTagKeys GetTagValues
    """,
}
"""Calls that do here what they do on AWS, or read records that are true."""

RECORDS: Mapping[str, str] = {
    "ec2": """
        CreateSecurityGroup DeleteSecurityGroup AuthorizeSecurityGroupIngress AuthorizeSecurityGroupEgress
        RevokeSecurityGroupIngress RevokeSecurityGroupEgress
    """,
    "iam": """
        GetRole ListRoles GetRolePolicy ListRolePolicies ListAttachedRolePolicies CreateRole DeleteRole PutRolePolicy
        DeleteRolePolicy GetInstanceProfile ListInstanceProfiles ListInstanceProfilesForRole CreateInstanceProfile
        DeleteInstanceProfile AddRoleToInstanceProfile RemoveRoleFromInstanceProfile ListRoleTags TagRole ListAccountAliases
    """,
}
"""Calls that store what is then shown but has no effect: the lab filters no packets and enforces no policies."""

ALLOWED: Mapping[str, frozenset[str]] = {
    service: frozenset(f"{REAL.get(service, '')} {RECORDS.get(service, '')}".split()) for service in (*REAL, *RECORDS)
}


def allowed(service: str, action: str) -> bool:
    """Whether the lab does this call. `service` is the name in the signature's scope."""
    return action in ALLOWED.get(service, ())
